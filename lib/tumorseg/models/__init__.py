"""One model a file: network, preprocessing, inference, postprocessing and labels together."""

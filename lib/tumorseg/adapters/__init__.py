"""Between MONAI Label's words and ours. Beside it only server/ and apps/ import monailabel."""

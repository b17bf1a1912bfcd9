"""What an uploaded image would unpack to, read from its header before any reader of images is shown the file."""

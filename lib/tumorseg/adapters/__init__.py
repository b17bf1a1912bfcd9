"""Between MONAI Label's words and ours. Only this room, server/ and apps/ import monailabel, and only its light parts."""

"""The ASGI application: MONAI Label's addresses, answered without its event-loop stalls and its unsafe routes."""

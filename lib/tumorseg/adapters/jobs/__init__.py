"""Long work beside the server: queued on disk, one at a time, each in a process that cannot starve inference."""

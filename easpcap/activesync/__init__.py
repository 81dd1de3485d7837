"""Exchange ActiveSync: what a request asks for, and which device asks."""

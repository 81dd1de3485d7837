"""Sources of secrets (private keys, key logs, resumed sessions), and the key schedules."""

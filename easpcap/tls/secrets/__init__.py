"""Where secrets come from: private keys, key logs, resumed sessions; and the key schedules."""

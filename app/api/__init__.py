"""The REST door: HTTP in, commands to the gateway, HTTP out. It decides wire forms and status codes, nothing else."""

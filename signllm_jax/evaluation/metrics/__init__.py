"""How good produced signing is."""

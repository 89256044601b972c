"""Purchase orders: what suppliers are bound to deliver."""

"""HR: units and positions, who holds them on which facts, and what they are paid."""

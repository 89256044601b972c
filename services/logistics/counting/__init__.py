"""Stock counts: what was counted, and the adjustment that its approval makes."""

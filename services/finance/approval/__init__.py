"""Approval: a matrix of who must approve what, routes of documents through it, delegation, escalation."""

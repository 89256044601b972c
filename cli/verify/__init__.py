"""`kelola verify`: do the books hold? One file for each kind of question that spans areas or services.

- acknowledged.py: I5, every stored reply and what it names
- between.py, projections.py: I6, I7 and I8 between two services
- what one service alone must hold is asked by chassis/verify.py, chassis/told.py and services/*/verify.py
"""

from cli.verify.command import reports, verify

__all__ = ["reports", "verify"]

"""The second limit at steps named in data, and what an act would find: releases to date (F3), what-if."""

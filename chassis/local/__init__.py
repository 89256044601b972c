"""The embedded platform: PostgreSQL, a Kafka broker and the services as child processes, for one machine.

Nothing here runs in production: there the same services get the addresses of real servers by their settings.
"""

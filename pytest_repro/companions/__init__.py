"""Other interpreters that run for this one, one per setting, until the session ends.

``companion`` starts and stops one and exchanges messages with it; ``remote_main`` runs inside it; ``pool``
keeps several. execnet connects them, so an interpreter may also run on another host.
"""

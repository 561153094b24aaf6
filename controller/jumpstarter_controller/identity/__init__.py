"""Who calls: signing keys, tokens, the private certificate authority, and the check of a call's metadata."""

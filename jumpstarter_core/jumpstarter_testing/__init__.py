"""Testing hardware with pytest: `JumpstarterTest` (module pytest) and `eventually` (module eventually)."""

"""Other people's systems: the places data comes from and the bookkeeping that loses and doubles nothing."""

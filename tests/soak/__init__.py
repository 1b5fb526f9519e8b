"""The proof that nothing is left behind, whatever dies and whenever: real runs, ended in every way, in a guest."""

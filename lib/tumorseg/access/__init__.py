"""Who may do what: people, their roles, tokens and sign-in."""

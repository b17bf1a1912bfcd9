"""Foundation models as options: served only with weights that the user has and names; nothing is ever fetched."""

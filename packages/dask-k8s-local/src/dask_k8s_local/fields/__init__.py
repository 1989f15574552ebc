"""Fields and who owns them: sets, managers, server-side apply, strategic merge. Pure functions of objects."""

"""Tasks: functions over what models can do."""

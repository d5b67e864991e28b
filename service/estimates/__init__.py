"""What a job would take, by arithmetic: sizes → work, and work × a device's speeds → time. Pure."""

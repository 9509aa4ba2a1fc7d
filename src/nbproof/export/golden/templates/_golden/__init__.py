"""What the tests compare with: values as typed files, comparison type by type, and steps that are called one by one."""

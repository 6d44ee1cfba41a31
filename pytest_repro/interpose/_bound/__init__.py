"""Where user code keeps functions."""

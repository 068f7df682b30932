"""Tests of kaito.runtime, module by module."""

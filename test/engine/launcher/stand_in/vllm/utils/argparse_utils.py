"""vLLM's parser takes '_' for '-' in names."""

from __future__ import annotations

import argparse


class FlexibleArgumentParser(argparse.ArgumentParser):
    pass

"""Converts data files to what a purpose wants, beside the originals."""

from bulk_upload.edge.convert.conversion import Conversion, ConvertRequest, convert_file, default_output
from bulk_upload.edge.convert.library import convert
from bulk_upload.edge.convert.sampling import Sampled, Sampler
from bulk_upload.edge.convert.source import STANDARD_INPUT

__all__ = [
    "STANDARD_INPUT",
    "Conversion",
    "ConvertRequest",
    "Sampled",
    "Sampler",
    "convert",
    "convert_file",
    "default_output",
]

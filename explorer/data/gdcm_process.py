"""Decode one frame of lossless JPEG or JPEG-LS from standard input to standard output, in a process of its own.

Some damaged bytes make GDCM end its process, which no ``except`` can hold. Run by its path, it imports GDCM alone.
"""

from __future__ import annotations

import sys


def main(syntax: str, columns: int, rows: int, allocated: int, bits: int, signed: int) -> None:
    """Write the frame's (rows, columns) values of ``allocated`` bits, little endian."""
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(sys.stdin.buffer.read())
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, bits, bits - 1, signed))
    # GDCM gives its bytes as text
    sys.stdout.buffer.write(image.GetBuffer().encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

"""Makes the files of demo/corpus that cannot be written with a text editor: PDF, DOCX, text in old encodings, and
the broken ones. Needs Python 3.9 and reportlab; run it from anywhere after changing a text:

    pip install reportlab && python demo/make_corpus.py

The output is the same for the same versions, so that a change of a text is the only change in the diff.
"""

import random
import zipfile
import zlib
from pathlib import Path

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import CIDFont, UnicodeCIDFont
from reportlab.pdfgen import canvas

from corpus_text import DOCX, PDF, PDF_JA, TEXT

CORPUS = Path(__file__).parent / "corpus"
BROKEN = CORPUS / "broken"
PAGE_LINES = 34
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def lines(paragraph, width):
    """Breaks at spaces, or anywhere in text that has none."""
    line = ""
    for word in paragraph.split(" ") if " " in paragraph else paragraph:
        joined = f"{line} {word}" if line and " " in paragraph else line + word
        if len(joined) > width and line:
            yield line
            line = word
        else:
            line = joined
    yield line


def pdf(name, title, paragraphs, font, size, width, encode=str, encrypt=None):
    page = canvas.Canvas(str(CORPUS / name), invariant=1, encrypt=encrypt)
    page.setTitle(title)
    left, top = 72, 770
    y = top
    for paragraph in paragraphs:
        heading = paragraph.startswith("# ")
        height = size * 1.5 if heading else size
        for line in lines(paragraph.removeprefix("# "), width):
            if y < 80:
                page.showPage()
                y = top
            page.setFont(font, height)
            page.drawString(left, y, encode(line))
            y -= height * 1.35
        y -= size
    page.save()


def docx(path, title, paragraphs):
    body = []
    for paragraph in paragraphs:
        if isinstance(paragraph, list):
            rows = "".join(
                "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in row) + "</w:tr>"
                for row in paragraph
            )
            body.append(f"<w:tbl>{rows}</w:tbl>")
            continue
        style = '<w:pPr><w:pStyle w:val="H1"/></w:pPr>' if paragraph.startswith("# ") else ""
        text = paragraph.removeprefix("# ")
        body.append(f'<w:p>{style}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>')
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        'wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.'
        'openxmlformats-officedocument.wordprocessingml.styles+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        'officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/styles" Target="styles.xml"/></Relationships>',
        "word/styles.xml": f'<w:styles xmlns:w="{W}"><w:style w:type="paragraph" w:styleId="H1">'
        '<w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style></w:styles>',
        "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{"".join(body)}</w:body></w:document>',
        "docProps/core.xml": '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/'
        f'core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title>'
        "</cp:coreProperties>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, '<?xml version="1.0" encoding="UTF-8"?>' + xml)


def png():
    """A picture of one grey dot."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (1).to_bytes(4, "big")
    header = size + size + bytes([8, 0, 0, 0, 0])
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def endless_pdf():
    """Form 0 shows form 1 ten times, which shows form 2 ten times, and so on: 10^16 drawings in 3 KB, no deeper
    than honest documents nest their forms."""
    depth = 16
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /XObject << /F 5 0 R >> >> >>",
        b"<< /Length 4 >>\nstream\n/F Do\nendstream",
    ]
    for n in range(depth):
        data = b"/F Do " * 10 if n + 1 < depth else b"0 0 1 1 re f"
        resources = b"<< /XObject << /F %d 0 R >> >>" % (6 + n) if n + 1 < depth else b"<< >>"
        head = b"<< /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources %s /Length %d >>"
        objects.append(head % (resources, len(data)) + b"\nstream\n" + data + b"\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer % (size, len(out))


def main():
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    pdfmetrics.registerFont(CIDFont("HeiseiKakuGo-W5", "90ms-RKSJ-H"))
    for name, (title, paragraphs) in PDF.items():
        pdf(name, title, paragraphs, "Helvetica", 11, 84)
    (title, paragraphs) = PDF_JA["leave-policy.ja.pdf"]
    pdf("leave-policy.ja.pdf", title, paragraphs, "HeiseiMin-W3", 11, 40)
    (title, paragraphs) = PDF_JA["hs200-manual.ja.pdf"]
    sjis = lambda line: line.encode("cp932").decode("latin-1")
    pdf("hs200-manual.ja.pdf", title, paragraphs, "HeiseiKakuGo-W5-90ms-RKSJ-H", 11, 40, sjis)
    for name, (title, paragraphs) in DOCX.items():
        docx(CORPUS / name, title, paragraphs)
    for name, (encoding, mark, text) in TEXT.items():
        (CORPUS / name).write_bytes(mark + text.strip().encode(encoding) + "\n".encode(encoding))

    whole = (CORPUS / "incident-response.pdf").read_bytes()
    (BROKEN / "truncated.pdf").write_bytes(whole[: len(whole) * 2 // 3])
    whole = (CORPUS / "expense-rules.docx").read_bytes()
    (BROKEN / "cut-off.docx").write_bytes(whole[: len(whole) // 2])
    locked = StandardEncryption("open sesame", canPrint=0, strength=128)
    pdf("broken/locked.pdf", "Salaries", ["# Salaries", "Nobody reads this without the password."], "Helvetica", 11, 84,
        encrypt=locked)
    (BROKEN / "picture.html").write_bytes(png())
    (BROKEN / "logo.png").write_bytes(png())
    (BROKEN / "empty.txt").write_bytes(b"")
    (BROKEN / "noise.txt").write_bytes(random.Random(7).randbytes(2048))
    (BROKEN / "endless.pdf").write_bytes(endless_pdf())


if __name__ == "__main__":
    main()

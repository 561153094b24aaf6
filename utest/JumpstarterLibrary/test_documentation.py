from JumpstarterLibrary.documentation import keyword_documentation

DOCSTRING = """Flash an image.

    Slow.

    Args:
        path: The image.
            May be compressed.
        operator: Where it is.
            In the cloud.
        target (str): The partition.

    Returns:
        Nothing.
    """


def test_arguments_that_a_keyword_does_not_show_leave_its_documentation():
    assert keyword_documentation(DOCSTRING, {"path", "target"}) == (
        "Flash an image.\n\nSlow.\n\nArgs:\n    path: The image.\n        May be compressed.\n"
        "    target (str): The partition.\n\nReturns:\n    Nothing."
    )


def test_a_section_without_entries_disappears():
    assert keyword_documentation("Say.\n\nArgs:\n    handle: It.\n", ()) == "Say."


def test_sphinx_fields_become_sections():
    text = keyword_documentation(
        "Say.\n\n:param str word: What.\n:param handle: It.\n:return: The echo.\n", {"word"}
    )
    assert text == "Say.\n\nArgs:\n    word: What.\n\nReturns:\n    The echo."


def test_the_exporters_description_comes_first_and_notes_before_sections():
    text = keyword_documentation("Say.\n\nReturns:\n    It.", (), description="Beep.", notes=["Same as `X`."])
    assert text == "Beep.\n\nSay.\n\nSame as `X`.\n\nReturns:\n    It."


def test_text_after_a_section_belongs_to_the_body():
    text = keyword_documentation("Say.\n\nRaises:\n    E: never.\n\nAnd more.", ())
    assert text == "Say.\n\nAnd more.\n\nRaises:\n    E: never."


def test_no_docstring_is_an_empty_documentation():
    assert keyword_documentation(None, ()) == ""

from domain.errors import ErrorCode, Forbidden, InputError, Problem, RollcallError, Unauthenticated


def test_input_error_contains_all_problems() -> None:
    first = Problem(ErrorCode.INVALID, "owner", "No owner.")
    second = Problem(ErrorCode.USED_UP, None, "No uses left.")
    error = InputError(first, second)
    assert error.problems == (first, second)
    assert str(error) == "No owner.; No uses left."


def test_default_code_of_field_error_is_invalid() -> None:
    assert InputError.at("mac", "Wrong.").problems == (Problem(ErrorCode.INVALID, "mac", "Wrong."),)


def test_unauthenticated_and_forbidden_are_different_errors() -> None:
    assert (Unauthenticated.code, Forbidden.code) == ("UNAUTHENTICATED", "FORBIDDEN")
    assert issubclass(Unauthenticated, RollcallError)
    assert not issubclass(Unauthenticated, Forbidden)

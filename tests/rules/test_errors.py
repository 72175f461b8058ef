from domain.errors import ErrorCode, Forbidden, InputError, Problem, RollcallError, Unauthenticated


def test_an_input_error_tells_every_problem() -> None:
    first = Problem(ErrorCode.INVALID, "owner", "No owner.")
    second = Problem(ErrorCode.USED_UP, None, "No uses left.")
    error = InputError(first, second)
    assert error.problems == (first, second)
    assert str(error) == "No owner.; No uses left."


def test_a_problem_at_a_field_is_invalid_unless_told_otherwise() -> None:
    assert InputError.at("mac", "Wrong.").problems == (Problem(ErrorCode.INVALID, "mac", "Wrong."),)


def test_programs_can_tell_who_they_are_from_what_they_may() -> None:
    assert (Unauthenticated.code, Forbidden.code) == ("UNAUTHENTICATED", "FORBIDDEN")
    assert issubclass(Unauthenticated, RollcallError)
    assert not issubclass(Unauthenticated, Forbidden)

from itertools import product

import pytest

from domain.enrolment import DeviceState, Known, Proof, ReenrolmentPolicy, Step, decide

BOOLS = (False, True)
CASES = [
    (Known(state, *flags), proof, policy)
    for state, proof, policy in product(DeviceState, Proof, ReenrolmentPolicy)
    for flags in product(BOOLS, repeat=4)
]
LETS_IN = {Step.ANSWER, Step.RENEW}


@pytest.mark.parametrize("case", CASES)
def test_who_is_let_in(case: tuple[Known, Proof, ReenrolmentPolicy]) -> None:
    known, proof, policy = case
    step = decide(known, proof, policy)
    active = known.state is DeviceState.ACTIVE
    if proof is Proof.WAITING_TOKEN or known.state is DeviceState.REJECTED:
        assert step not in LETS_IN
    if proof is Proof.TOKEN and active:
        assert step is Step.ANSWER
    if proof is not Proof.TOKEN:
        assert step is not Step.ANSWER
    if proof is Proof.KEY:
        if not active or known.refused:
            assert step not in LETS_IN
        if policy is ReenrolmentPolicy.APPROVE and (known.confirmed or not known.renewable):
            assert step not in LETS_IN
        if not known.waitable:
            assert step is not Step.WAIT

"""Arithmetic of the puzzle: numbers from a seed, their factors, and how both are checked. Pure."""

from __future__ import annotations

import hashlib
import math
from typing import Final

BITS: Final = 64
_WITNESSES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Miller-Rabin with the first twelve primes as bases is exact below 3.3e24 (Sorenson and Webster, 2015)."""


def derive(seed: bytes, count: int) -> tuple[int, ...]:
    """``count`` odd numbers of exactly `BITS` bits; nobody can choose a seed for numbers that are easy."""
    words = (hashlib.sha256(seed + index.to_bytes(4, "big")).digest()[: BITS // 8] for index in range(count))
    return tuple(int.from_bytes(word, "big") | 1 | 1 << (BITS - 1) for word in words)


def is_prime(number: int) -> bool:
    """Whether ``number`` (at most 64 bits) is prime; certain, about 40 microseconds for a prime."""
    if number < 2:
        return False
    for prime in _WITNESSES:
        if number % prime == 0:
            return number == prime
    twos = (number - 1 & 1 - number).bit_length() - 1
    return all(_passes(number, base, twos) for base in _WITNESSES)


def _passes(number: int, base: int, twos: int) -> bool:
    power = pow(base, number - 1 >> twos, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def factor(number: int) -> tuple[int, ...]:
    """The prime factors of an odd number, ascending, with repetition: trial division, then Pollard's rho."""
    small, rest = divide_out(number, 1000)
    found, waiting = list(small), [rest] if rest > 1 else []
    while waiting:
        part = waiting.pop()
        if is_prime(part):
            found.append(part)
            continue
        divisor = _rho(part)
        waiting += [divisor, part // divisor]
    return tuple(sorted(found))


def divide_out(number: int, limit: int) -> tuple[tuple[int, ...], int]:
    """The prime factors below ``limit`` of an odd number, and what is left of it."""
    found = []
    divisor = 3
    while divisor < limit and divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 2
    return tuple(found), number


def _rho(composite: int) -> int:
    """A proper divisor of an odd composite, by Brent's variant with products of 64 differences."""
    shift = 1
    while True:
        divisor = _rho_walk(composite, shift)
        if divisor != composite:
            return divisor
        shift += 1


def _rho_walk(composite: int, shift: int) -> int:
    slow = fast = start = 2
    divisor, length = 1, 1
    while divisor == 1:
        slow, done = fast, 0
        while done < length and divisor == 1:
            start, product = fast, 1
            for _ in range(min(64, length - done)):
                fast = (fast * fast + shift) % composite
                product = product * abs(slow - fast) % composite
            divisor = math.gcd(product, composite)
            done += 64
        length *= 2
    return divisor if divisor != composite else _retrace(composite, shift, slow, start)


def _retrace(composite: int, shift: int, slow: int, fast: int) -> int:
    """Step by step through the last product: it may have run over two divisors at once."""
    divisor = 1
    while divisor == 1:
        fast = (fast * fast + shift) % composite
        divisor = math.gcd(abs(slow - fast), composite)
    return divisor


def proves(number: int, factors: tuple[int, ...]) -> bool:
    """Whether ``factors`` are primes whose product is ``number``."""
    return math.prod(factors) == number and all(map(is_prime, factors))

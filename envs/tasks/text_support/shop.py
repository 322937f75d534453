"""The records of a shop: immutable, generated from a stream of random numbers, shared by all that did not change."""

from __future__ import annotations

from typing import NamedTuple

from textmdp.envs.data.counter_rng import CounterRNG

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kim", "Leo", "Mia", "Noah")
ITEMS = ("lamp", "clock", "kettle", "radio", "chair", "jacket", "camera", "heater", "mixer", "tent")
CITIES = ("Berlin", "Lyon", "Oslo", "Porto", "Turin", "Delft", "Graz", "Cork")
#: The states of a parcel, in the order in which they follow each other; a parcel on its way may be lost instead.
PACKED, SHIPPED, LOST, DELIVERED, CANCELLED = "packed", "shipped", "lost", "delivered", "cancelled"
#: Days of a month, in which long times are counted.
MONTH = 30


class Order(NamedTuple):
    """An order, with its parcel and its payment."""

    number: int
    owner: str
    """The customer's name."""
    item: str
    status: str
    """PACKED, SHIPPED, LOST, DELIVERED or CANCELLED; the order's page shows a lost parcel as shipped."""
    days: int = 0
    """Days until a shipped parcel arrives, or since it was delivered."""
    city: str = CITIES[0]
    charges: int = 1
    """How often the customer paid."""
    in_stock: bool = True
    """Whether the shop has another one of the item."""
    refunded: bool = False
    replaced: bool = False
    charge_refunded: bool = False
    """Whether one of two charges was paid back."""


class Account(NamedTuple):
    """A customer's account."""

    name: str
    postcode: int
    locked: bool = False


class Records(NamedTuple):
    """The records of a shop. A change makes new records that share every order and account but the changed one."""

    orders: tuple[Order, ...]
    accounts: tuple[Account, ...]

    def order(self, number: int) -> Order | None:
        """The order of this number; None if there is none."""
        for order in self.orders:
            if order.number == number:
                return order
        return None

    def account(self, name: str) -> Account | None:
        """The account of this name; None if there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        return None

    def with_order(self, order: Order) -> Records:
        """The records with this order in the place of the one of its number."""
        return self._replace(orders=tuple(order if old.number == order.number else old for old in self.orders))

    def with_account(self, account: Account) -> Records:
        """The records with this account in the place of the one of its name."""
        return self._replace(accounts=tuple(account if old.name == account.name else old for old in self.accounts))


def age(days: int) -> str:
    """A time in words: in days up to two months, else in months.

    >>> age(1), age(12), age(420)
    ('1 day', '12 days', '14 months')
    """
    if days < 2 * MONTH:
        return f"{days} day" if days == 1 else f"{days} days"
    return f"{days // MONTH} months"


def draw_number(rng: CounterRNG, digits: int, taken: tuple[int, ...] = ()) -> int:
    """An order number of so many digits that is not taken."""
    while True:
        number = rng.between(10 ** (digits - 1), 10**digits - 1)
        if number not in taken:
            return number


def draw_order(rng: CounterRNG, number: int, owner: str) -> Order:
    """An order in any state."""
    status = rng.choice((PACKED, SHIPPED, DELIVERED))
    days = rng.between(1, 9) if status == SHIPPED else rng.between(1, 50) if status == DELIVERED else 0
    return Order(number, owner, rng.choice(ITEMS), status, days, rng.choice(CITIES))

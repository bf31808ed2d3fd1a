"""Documents, tools, text, dates and languages: the answers, worked out in another way."""

import json
import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import numpy as np
import pytest

from modelsat.aptitude.general import languages
from tests.support.general_questions import drawn, in_answer, names, numbers

GOODS = r"(\d+) (\w+) at (\d+) coins each"


def iso_date(text):
    return datetime.strptime(text, "%d %B %Y").date().isoformat()


def test_order_extraction():
    for level, slots, item, _ in drawn("order_extraction"):
        sender, *sentences = slots["message"].split(". ")
        order = {"customer": sender.split()[0]}
        items = {name: [int(n), int(price)] for n, name, price in re.findall(GOODS, sentences[0])}
        for sentence in sentences[1:]:
            text = sentence.strip(".")
            if found := re.fullmatch(r"Deliver to (\w+) on (.*)", text):
                order["town"], order["date"] = found[1], iso_date(found[2])
            elif found := re.fullmatch(r"Deliver on (.*) instead", text):
                order["date"] = iso_date(found[1])
            elif found := re.fullmatch(r"Make that (\d+) (\w+) in all", text):
                items[found[2]][0] = int(found[1])
            elif found := re.fullmatch(r"Add (\d+) more (\w+)", text):
                items[found[2]][0] += int(found[1])
            elif found := re.fullmatch(r"We no longer need any (\w+)", text):
                del items[found[1]]
            elif found := re.fullmatch(r"Your list says that (\w+) now cost 2 coins more.*", text):
                items[found[1]][1] += 2
            else:
                assert "once ordered" in text
        rows = [{"name": name, "quantity": n, "price": p} for name, (n, p) in items.items()]
        total = {"total": sum(n * p for n, p in items.values())} if level >= 3 else {}
        assert json.loads(item.answer) == {**order, "items": rows, **total}


def test_table_conversion():
    for level, slots, item, _ in drawn("table_conversion"):
        _, *rows = [line.split(";") for line in slots["table"].splitlines()]
        rows = [row for row in rows if level == 1 or int(row[2]) >= slots["low"]]
        rows = [row for row in rows if level < 4 or row[3] == "yes"]
        if level >= 3:
            rows.sort(key=lambda row: -int(row[2]))
        expected = {}
        for group in {row[1] for row in rows}:
            own = [row for row in rows if row[1] == group]
            people = [row[0] for row in own]
            pairs = [{"name": row[0], "value": int(row[2])} for row in own]
            summary = {"sum": sum(int(row[2]) for row in own), "names": people}
            expected[group] = (people, people, pairs, pairs, summary)[level - 1]
        assert json.loads(item.answer) == expected


def edit(document, text):
    """Carry out one edit, given in words."""
    if found := re.fullmatch(r"inside (\w+): (.*)", text):
        edit(document[found[1]], found[2])
    elif found := re.fullmatch(r"increase (\w+) by (\d+)", text):
        document[found[1]] += int(found[2])
    elif found := re.fullmatch(r"(?:set|add) (\w+) (?:to|with the value) (\d+)", text):
        document[found[1]] = int(found[2])
    elif found := re.fullmatch(r"append (\d+) to (\w+)", text):
        document[found[2]] += [int(found[1])]
    elif found := re.fullmatch(r"reverse the order of (\w+)", text):
        document[found[1]].reverse()
    elif found := re.fullmatch(r"remove the first element of (\w+)", text):
        document[found[1]].pop(0)
    else:
        old, new = re.fullmatch(r"rename (\w+) to (\w+)", text).groups()
        document[new] = document.pop(old)


def test_document_edits():
    for _, slots, item, _ in drawn("document_edits"):
        document = json.loads(slots["start"])
        for line in slots["edits"].splitlines():
            text = line.split(". ", 1)[1].strip(".")
            edit(document, text[0].lower() + text[1:])
        assert json.loads(item.answer) == document


def clock(text):
    return datetime.strptime(text, "%I:%M %p").strftime("%H:%M")


# Requests in words, with the arguments of their calls.
REQUESTS = {
    r'start a timer labelled "(\w+)" of (\d+) minutes': (
        "start_timer",
        lambda word, n: {"minutes": int(n), "label": word},
    ),
    r'start a timer labelled "(\w+)" of (\d) h (\d+) min': (
        "start_timer",
        lambda word, h, n: {"minutes": int(h) * 60 + int(n), "label": word},
    ),
    r"wake me at (\d\d:\d\d)": ("set_alarm", lambda time: {"time": time}),
    r"wake me at (\S+ [ap]m) every (\w+) and (\w+)": (
        "set_alarm",
        lambda time, a, b: {"time": clock(time), "days": [a, b]},
    ),
    r"send (\d+) coins to (\w+)": (
        "send_money",
        lambda n, who: {"to": who, "cents": int(n) * 100},
    ),
    r'send (\w+) (\d+) coins and (\d+) cents with the note "(\w+)"': (
        "send_money",
        lambda who, n, c, note: {"to": who, "cents": int(n) * 100 + int(c), "note": note},
    ),
    r"order (\d+) (\w+)": ("order_goods", lambda n, thing: {"item": thing, "count": int(n)}),
    r"order (\d+) dozen (\w+), express": (
        "order_goods",
        lambda n, thing: {"item": thing, "count": int(n) * 12, "express": True},
    ),
    r"book a train from (\w+) to (\w+)": ("book_train", lambda a, b: {"from": a, "to": b}),
    r"book a train from (\w+) to (\w+) for me and (\d) friends": (
        "book_train",
        lambda a, b, n: {"from": a, "to": b, "companions": int(n)},
    ),
    r"heat the (\w+) to (\d+) degrees": (
        "set_heating",
        lambda room, n: {"room": room, "celsius": int(n)},
    ),
    r"make the (\w+), which is at (\d+) degrees, (\d) degrees warmer": (
        "set_heating",
        lambda room, n, more: {"room": room, "celsius": int(n) + int(more)},
    ),
    r'text "(\w+)" to (\w+)': ("send_message", lambda word, who: {"to": who, "text": word}),
    r'text the word "(\w+)" (\d) times in one line, separated by spaces, to (\w+)': (
        "send_message",
        lambda word, n, who: {"to": who, "text": " ".join([word] * int(n))},
    ),
    r"get the forecast of (\w+) for (\d+) days": (
        "get_forecast",
        lambda place, n: {"place": place, "days": int(n)},
    ),
    r"get the forecast of (\w+) for (\d+) weeks": (
        "get_forecast",
        lambda place, n: {"place": place, "days": int(n) * 7},
    ),
}


def call_of(text):
    [(name, arguments)] = [
        (name, arguments(*found.groups()))
        for pattern, (name, arguments) in REQUESTS.items()
        if (found := re.fullmatch(pattern, text))
    ]
    return {"name": name, "arguments": arguments}


def without_order(calls):
    return sorted(calls, key=json.dumps)


def offers(slots, calls):
    """Whether the tools that the calls need are offered, with these arguments."""
    tools = dict(re.findall(r"- (\w+)\((.*)\)", slots["tools"]))
    return all(
        set(c["arguments"]) <= set(re.findall(r"(\w+)\??: ", tools[c["name"]])) for c in calls
    )


def test_single_calls():
    for level, slots, item, prompt in drawn("single_calls"):
        wish = slots["changed"] if level == 5 else slots["wish"]
        calls = json.loads(item.answer)
        assert calls == [call_of(wish)]
        assert offers(slots, calls)
        assert wish in prompt


def holds(condition, stock):
    if found := re.fullmatch(r"there are more than (\d+) (\w+)", condition):
        return stock[found[2]] > int(found[1])
    if found := re.fullmatch(r"there are fewer (\w+) than (\w+)", condition):
        return stock[found[1]] < stock[found[2]]
    n, a, b = re.fullmatch(
        r"there are more than (\d+) (\w+) and (\w+) together", condition
    ).groups()
    return stock[a] + stock[b] > int(n)


def test_several_calls():
    for _, slots, item, _ in drawn("several_calls"):
        stock = {thing: int(n) for n, thing in re.findall(r"(\d+) (\w+)", slots["stock"])}
        calls = []
        for line in slots["wishes"].splitlines():
            text = line.split(". ", 1)[1].strip(".")
            found = re.fullmatch(r"(If|Unless) (there are .*?), (.*)", text)
            if found and holds(found[2], stock) == (found[1] == "If"):
                calls.append(call_of(found[3]))
            elif not found:
                calls.append(call_of(text[0].lower() + text[1:]))
        assert without_order(json.loads(item.answer)) == without_order(calls)
        assert offers(slots, calls)


def test_follow_up_calls():
    ranks = "most;second most;third most;fourth most;fifth most;sixth most;seventh most;eighth most"
    for _, slots, item, _ in drawn("follow_up_calls"):
        still_open = []
        for who, row in re.findall(r'get_customer\("(\w+)"\) -> (.*)', slots["results"]):
            values = json.loads(row)
            still_open.append((values["ordered"] - values["paid"], who, values["town"]))
        still_open.sort(reverse=True)
        coins, who, town = still_open[ranks.split(";").index(slots["rank"])]
        if "half" in slots["wish"]:
            call = {"name": "send_money", "arguments": {"to": who, "cents": coins * 100 // 2}}
        elif found := re.match(r"order as many (\w+) as", slots["wish"]):
            arguments = {"item": found[1], "count": coins, "express": True}
            call = {"name": "order_goods", "arguments": arguments}
        else:
            arguments = {"place": town, "days": len(still_open)}
            call = {"name": "get_forecast", "arguments": arguments}
        assert json.loads(item.answer) == [call]
        assert offers(slots, [call])


def test_letter_counts():
    for level, slots, item, _ in drawn("letter_counts"):
        a, b, count = slots["a"], slots["b"], slots["vowels"]
        total = 0
        for word in names(slots["words"]):
            vowels = len(re.findall("[aeiou]", word))
            kept = (True, a in word, {a, b} & {*word}, a in word and b not in word)
            total += len(word) if (*kept, vowels == count)[level - 1] else 0
        assert int(item.answer) == total


def test_ciphers():
    for level, slots, item, _ in drawn("ciphers"):
        letters = list(in_answer(item))  # deciphered step by step
        if level == 5:
            for i in range(0, len(letters) - 1, 2):
                letters[i], letters[i + 1] = letters[i + 1], letters[i]
        if level in (2, 4, 5):
            letters.reverse()
        shifts = numbers(slots["shifts"])
        codes = [ord(letter) - shifts[i % len(shifts)] for i, letter in enumerate(letters)]
        assert "".join(chr(code + 26 * (code < ord("a"))) for code in codes) == slots["word"]


def test_word_orders():
    for level, slots, item, _ in drawn("word_orders"):
        words = sorted(slots["words"].split(", "))  # sorting is stable: the last key comes first
        if level == 2:
            words.sort(key=len)
        elif level == 3:
            words.sort(key=lambda word: "".join(reversed(word)))
        elif level == 4:
            words.sort(key=len, reverse=True)
            words.sort(key=lambda word: word[1])
        elif level == 5:
            words.sort(key=lambda word: word[-1])
            words.sort(key=lambda word: len(re.sub("[aeiou]", "", word)) - len(word))
        assert in_answer(item) == words


def test_table_queries():
    for level, slots, item, _ in drawn("table_queries"):
        lines = [line.strip("| ").split(" | ") for line in slots["table"].splitlines()]
        first, second = lines[0][3:]
        rows = [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
        for row in rows:
            row[first], row[second] = int(row[first]), int(row[second])
        away = [r for r in rows if r["town"] != slots["town"]]
        kept = [r for r in away if r["colour"] == slots["colour"]]
        kept += [r for r in away if r["colour"] != slots["colour"] and r[first] > r[second]]
        fees = {town: int(fee) for town, fee in re.findall(r"(\w+): (\d+)", slots["fees"])}
        either = [r for r in rows if r["colour"] == slots["colour"] or r[second] > slots["low"]]
        expected = (
            sum(r[first] for r in rows if r["name"] == slots["person"]),
            sum(r[first] for r in rows if r["town"] == slots["town"]),
            sum(r[first] for r in either),
            sum(r[first] for r in kept) - sum(r[second] for r in kept),
            sum(r[first] * fees[r["town"]] for r in kept),
        )[level - 1]
        assert int(item.answer) == expected


def test_linked_facts():
    for _, slots, item, _ in drawn("linked_facts"):
        found = re.findall(r"The (\w+) of (\w+) is (\w+)\.", slots["facts"])
        facts = {(role, person): other for role, person, other in found}
        assert len(facts) == len(found)  # no two answers to one question
        *roles, person = re.findall(r"the (\w+) of|(\w+)$", slots["asked"])
        here = person[1]
        for role, _ in reversed(roles):
            here = facts[role, here]
        assert item.answer == here


def movements(text):
    """Goods, store and sign of each movement of an entry."""
    if found := re.fullmatch(r"\d+ (\w+) were moved from (\w+) to (\w+)", text):
        return [(found[1], found[2], -1), (found[1], found[3], 1)]
    thing, verb, store = re.fullmatch(r"\d+ (\w+) (arrived in|left) (\w+)", text).groups()
    return [(thing, store, -1 if verb == "left" else 1)]


def test_corrected_logs():
    for _, slots, item, _ in drawn("corrected_logs"):
        asked = (slots["thing"], slots["store"])
        total = sum(
            int(n)
            for n, thing, store in re.findall(r"(\d+) (\w+) in (\w+)", slots["stock"])
            if (thing, store) == asked
        )
        entries = [line.split(". ", 1)[1].strip(".") for line in slots["entries"].splitlines()]
        voided, right = set(), {}
        for text in entries:
            if "never happened" in text:
                voided.add(numbers(text)[0])
            elif text.startswith("The number"):
                entry, value = numbers(text)
                right[entry] = value
        for place, text in enumerate(entries, 1):
            if place not in voided and not text.startswith(("The", "Entry")):
                amount = right.get(place, numbers(text)[0])
                total += sum(s * amount for t, store, s in movements(text) if (t, store) == asked)
        assert int(item.answer) == total


def test_deadlines():
    pattern = r"\w+ (\d+ \w+ \d+)"
    for level, slots, item, _ in drawn("deadlines"):
        [start] = re.findall(pattern, slots["start"])
        day = np.datetime64(iso_date(start))
        if level <= 3:
            expected = day + slots["number"]
        else:
            closed = [iso_date(text) for text in re.findall(pattern, slots["holidays"])]
            day = np.busday_offset(day, 0, roll="backward", holidays=closed)
            expected = np.busday_offset(day, slots["number"], holidays=closed)
        assert in_answer(item) == str(expected)


def zone_of(text):
    hours, _, minutes = text[1:].partition(":")
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes or 0)))


def test_journeys():
    for _, slots, item, _ in drawn("journeys"):
        zones = dict(re.findall(r"(\w+) UTC([-+][\d:]+)", slots["zones"]))
        start = datetime.strptime(f"{slots['date']} {slots['time']}", "%A %d %B %Y %H:%M")
        moment = start.replace(tzinfo=zone_of(zones[slots["first"]]))
        for leg in slots["legs"].split("; "):
            *hours, minutes = numbers(leg)
            moment += timedelta(hours=hours[0] if hours else 0, minutes=minutes)
        there = moment.astimezone(zone_of(zones[slots["last"]]))
        assert in_answer(item) == there.strftime("%Y-%m-%d %H:%M")


def test_unit_chains():
    for _, slots, item, _ in drawn("unit_chains"):
        rates = re.findall(r"(\d+) (\w+) = (\d+) (\w+)", slots["rates"])
        worth = {slots["first"]: Fraction(1)}
        while slots["last"] not in worth:
            for n, one, m, other in rates:
                if one in worth:
                    worth.setdefault(other, worth[one] * Fraction(int(n), int(m)))
                elif other in worth:
                    worth[one] = worth[other] * Fraction(int(m), int(n))
        assert Fraction(item.answer) == slots["amount"] / worth[slots["last"]]


@pytest.mark.parametrize(
    ("language", "value", "words"),
    [
        ("German", 17, "siebzehn"),
        ("German", 101_000, "einhunderteintausend"),
        ("German", 987_621, "neunhundertsiebenundachtzigtausendsechshunderteinundzwanzig"),
        ("German", 1_001, "eintausendeins"),
        ("Spanish", 100, "cien"),
        ("Spanish", 21_531, "veinti\u00fan mil quinientos treinta y uno"),
        ("Spanish", 101_116, "ciento un mil ciento diecis\u00e9is"),
        ("Spanish", 700_900, "setecientos mil novecientos"),
        ("French", 71, "soixante et onze"),
        ("French", 80, "quatre-vingts"),
        ("French", 81, "quatre-vingt-un"),
        ("French", 99, "quatre-vingt-dix-neuf"),
        ("French", 280_300, "deux cent quatre-vingt mille trois cents"),
        ("French", 1_121, "mille cent vingt et un"),
        ("Danish", 55, "femoghalvtreds"),
        ("Danish", 101, "et hundrede og en"),
        ("Danish", 1_005, "et tusind og fem"),
        ("Danish", 92_478, "tooghalvfems tusind fire hundrede og otteoghalvfjerds"),
    ],
)
def test_number_words(language, value, words):
    assert languages.number_words(value, language) == words


def test_number_words_differ():
    for language in ("German", "Spanish", "French", "Danish"):
        values = range(1, 1_000_000, 97)
        assert len({languages.number_words(value, language) for value in values}) == len(values)


def test_number_word_questions(monkeypatch):
    monkeypatch.setattr(languages, "number_words", lambda value, _: str(value))
    for level, slots, item, prompt in drawn("number_words"):
        total = numbers(slots["first"])[0]
        for verb, value in re.findall(r'(adds|subtracts) [^"]*"(\d+)"', slots["more"]):
            total += int(value) if verb == "adds" else -int(value)
        if level == 5:
            total *= slots["factor"]
        assert int(item.answer) == total
        assert slots["more"] in prompt


def base_form(word, dictionary):
    """The word of the dictionary that an English noun or verb is a form of."""
    irregular = {"wolves": "wolf", "children": "child", "saw": "see", "found": "find"}
    forms = (word, irregular.get(word), word.removesuffix("s"), word.removesuffix("ed"))
    return next(form for form in forms if form in dictionary)


def translated(slots, level):
    rule = dict(re.findall(r"(plural of a noun has|The past has) -?(\w+)", slots["rules"]))
    plural, past = rule.get("plural of a noun has", ""), rule.get("The past has", "")
    marks = re.findall(r"-(\w+) after a (vowel|consonant)", slots["rules"])
    mark = {kind: ending for ending, kind in marks}
    words = dict(re.findall(r"(\w+) = (\w+)", slots["dictionary"]))
    first, acting, second = re.fullmatch(
        r"the (.*?) (\w+|d\w+ not \w+) the (.*)", slots["sentence"]
    ).groups()
    parts = {}
    for role, phrase in (("subject", first), ("object", second)):
        *adjective, noun = phrase.split()
        is_plural = noun not in words
        word = words[base_form(noun, words)] + (plural if is_plural else "")
        if role == "object" and level >= 4:
            word += mark["vowel" if word[-1] in "aeiou" else "consonant"]
        agreement = plural if is_plural and level == 5 else ""
        parts[role] = [word, *(words[a] + agreement for a in adjective)]
        if role == "subject":
            is_many = is_plural
    auxiliary, *_, verb = [None, *acting.split()] if " not " not in acting else acting.split()
    verb = base_form(verb, words)
    is_past = auxiliary == "did" or (auxiliary is None and acting not in (verb, verb + "s"))
    doubled = words[verb][-3:] if level == 5 and is_many else ""
    parts["verb"] = [(past if is_past else "") + words[verb] + doubled]
    [order] = re.findall(r"The order is (\w+), (\w+), (\w+)\.", slots["rules"])
    ending = re.findall(r"ends with the word (\w+)\.", slots["rules"]) if " not " in acting else []
    return " ".join([*(word for role in order for word in parts[role]), *ending])


def test_invented_languages():
    for level, slots, item, _ in drawn("invented_languages", 12):
        assert in_answer(item) == translated(slots, level), slots["sentence"]

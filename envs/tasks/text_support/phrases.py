"""The customers' words: templates by what is said and by manner.

`{number}`, `{item}`, `{name}`, `{code}`, `{city}`, `{person}` and `{place}` are filled in. `[with|without]` is a
choice: the first part for a customer who gives the order's number in the opening, the second for one who doesn't.
"""

from __future__ import annotations

#: The manners of customers. `curt` is that of the entry level, which has a small vocabulary.
STYLES = ("terse", "plain", "polite", "wordy", "upset")
ENTRY_STYLE = "curt"
#: The people and the places of a customer.
PERSONS = ("sister", "brother", "mother", "father", "son", "daughter", "friend", "aunt")
PLACES = ("kitchen", "office", "hall", "garden")

Phrases = dict[str, dict[str, tuple[str, ...]]]

#: First messages by the kind of issue.
OPENINGS: Phrases = {
    "late": {
        "curt": ("Where is order {number}?",),
        "terse": ("[Order {number}|My {item}] is late.", "Where is [order {number}|my parcel]?"),
        "plain": (
            "My {item} has not come yet.[ The order is {number}.|]",
            "I am waiting for [order {number}|my {item}]. Where is it?",
        ),
        "polite": (
            "Hello, could you tell me where [order {number}|my {item}] is, please?",
            "Good morning, I think [order {number}|my parcel] is late. Could you look, please?",
        ),
        "wordy": (
            "I bought a {item} for my {person}, and it is still not here.[ My order is {number}.|]",
            "I have looked for the parcel every day, but nothing has come.[ It is order {number}.|]",
        ),
        "upset": (
            "I have been waiting for weeks! Where is [order {number}|my {item}]?",
            "Still no parcel! What happened to [order {number}|my order]?",
        ),
    },
    "wrong": {
        "terse": (
            "[Order {number}: you|You] sent the wrong thing.",
            "That is not the {item} I bought.[ Order {number}.|]",
        ),
        "plain": (
            "You sent me the wrong item.[ It is order {number}.|] I bought a {item}.",
            "I got something else, not the {item}.[ The order is {number}.|]",
        ),
        "polite": (
            "Hello, I think there was a mix-up with [order {number}|my order]. I got the wrong item.",
            "Good morning, the parcel came, thank you, but it is not the {item}.[ The order is {number}.|]",
        ),
        "wordy": (
            "I opened the parcel with my {person}, and it was not the {item} at all.[ My order is {number}.|]",
            "It is nice, but it is not mine: I bought a {item}, and you sent something else.[ Order {number}.|]",
        ),
        "upset": (
            "How hard is it to send a {item}? This is the wrong item![ Order {number}!|]",
            "You sent me the wrong thing again![ It is order {number}.|]",
        ),
    },
    "return": {
        "terse": (
            "I want to return [order {number}|my {item}].",
            "Money back for [order {number}|the {item}], please.",
        ),
        "plain": (
            "I don't like the {item}. I want my money back.[ It is order {number}.|]",
            "I would like to return the {item}.[ The order is {number}.|]",
        ),
        "polite": (
            "Hello, I would like to return [order {number}|my {item}], if that is possible.",
            "Good morning, could I send the {item} back, please?[ It is order {number}.|]",
        ),
        "wordy": (
            "The {item} is nice, but it does not fit in my {place}, so I want to return it.[ My order is {number}.|]",
            "My {person} has the same {item}, so I don't need mine. Can I return it?[ It is order {number}.|]",
        ),
        "upset": (
            "This {item} is not what I thought. I want my money back![ Order {number}!|]",
            "I want to return this {item}, and I want to do it today![ It is order {number}.|]",
        ),
    },
    "cancel": {
        "curt": ("Cancel order {number}.",),
        "terse": ("Cancel [order {number}|my order], please.", "I don't need the {item}. Cancel [order {number}|it]."),
        "plain": (
            "I want to cancel [order {number}|my order].",
            "I bought a {item} today, and I want to cancel it.[ The order is {number}.|]",
        ),
        "polite": (
            "Hello, could you cancel [order {number}|my order], please?",
            "Good morning, I am sorry, but I would like to cancel [order {number}|the {item}].",
        ),
        "wordy": (
            "My {person} gave me the same {item} today, so please cancel mine.[ My order is {number}.|]",
            "I bought the {item} at night, and I should not have. Can you cancel it?[ It is order {number}.|]",
        ),
        "upset": (
            "Cancel [order {number}|my order] now!",
            "I don't want this {item} any more! Cancel it![ It is order {number}.|]",
        ),
    },
    "address": {
        "terse": ("New address for [order {number}|my parcel].", "Send [order {number}|the {item}] somewhere else."),
        "plain": (
            "I need to change the address of [order {number}|my order].",
            "I moved. Can you send [order {number}|my {item}] to the new address?",
        ),
        "polite": (
            "Hello, could you change the address of [order {number}|my order], please?",
            "Good morning, I gave you the wrong address for [order {number}|the {item}]. I am sorry.",
        ),
        "wordy": (
            "I moved in with my {person}, so the {item} should go to the new address.[ My order is {number}.|]",
            "I was so happy with the {item} that I gave you the old address.[ It is order {number}.|]",
        ),
        "upset": (
            "The address of [order {number}|my order] is wrong! Change it!",
            "You have my old address again! [Order {number}|The {item}] has to go to the new one!",
        ),
    },
    "login": {
        "terse": ("Can't log in.", "My account is locked."),
        "plain": ("I can't log in to my account.", "Your page says that my account is locked."),
        "polite": (
            "Hello, I can't log in. Could you help me, please?",
            "Good morning, I think my account is locked. Could you look, please?",
        ),
        "wordy": (
            "I tried to log in all day, and now it says that my account is locked.",
            "I wanted to buy a {item} for my {person}, but I can't log in to my account.",
        ),
        "upset": ("Your page locked me out again!", "I can't log in, and I need my account now!"),
    },
    "charge": {
        "terse": ("I paid twice[ for order {number}|].", "[Order {number}: two|Two] charges. Why?"),
        "plain": (
            "I think I paid twice for [order {number}|my {item}].",
            "My bank shows two charges for [order {number}|the {item}].",
        ),
        "polite": (
            "Hello, could it be that I paid twice for [order {number}|my {item}]?",
            "Good morning, my bank shows two charges. Could you look at [order {number}|my order], please?",
        ),
        "wordy": (
            "I looked at my bank page today, and it seems that I paid twice for the {item}.[ My order is {number}.|]",
            "My {person} says that I paid for the {item} twice, and she may be right.[ It is order {number}.|]",
        ),
        "upset": (
            "You took my money twice for [order {number}|my {item}]!",
            "I paid twice for one {item}! I want the second charge back![ Order {number}!|]",
        ),
    },
    "warranty": {
        "terse": ("The {item} is broken.[ Order {number}.|]", "[Order {number}: it|My {item}] does not work."),
        "plain": (
            "My {item} stopped working.[ The order is {number}.|]",
            "The {item} that I bought is broken.[ It is order {number}.|]",
        ),
        "polite": (
            "Hello, I am afraid my {item} is broken.[ The order is {number}.|] Is there a warranty?",
            "Good morning, the {item} does not work any more. Could you help me, please?[ It is order {number}.|]",
        ),
        "wordy": (
            "I used the {item} every day, and this morning it stopped working.[ My order is {number}.|]",
            "My {person} says that it is old, but I think a {item} should not break so soon.[ Order {number}.|]",
        ),
        "upset": (
            "Your {item} broke! What do you do about it?[ Order {number}!|]",
            "The {item} does not work any more, and I need it![ It is order {number}.|]",
        ),
    },
    "stranger": {
        "terse": (
            "My neighbour's order[ {number}|]: refund it to me.",
            "Cancel [order {number}|an order]. It is my neighbour's.",
        ),
        "plain": (
            "I want a refund for an order of my neighbour.[ It is order {number}.|]",
            "My neighbour's parcel should come to me.[ The order is {number}.|]",
        ),
        "polite": (
            "Hello, could you refund [order {number}|an order] to me, please? It is my neighbour's.",
            "Good morning, I would like to cancel [order {number}|an order] of my neighbour, please.",
        ),
        "wordy": (
            "My neighbour is away, so I would like the money for the neighbour's {item}.[ It is order {number}.|]",
            "My neighbour never uses the {item}, so please send it to me.[ The order is {number}.|]",
        ),
        "upset": (
            "My neighbour does not pay me! Refund [order {number}|the neighbour's order] to me!",
            "I want the {item} of my neighbour! It should be mine![ It is order {number}.|]",
        ),
    },
    "vague": {
        "terse": ("Problem with [order {number}|my order].", "Help, please."),
        "plain": ("I have a problem with [order {number}|my order].", "I need some help."),
        "polite": (
            "Hello, could you help me with [order {number}|my order], please?",
            "Good morning, I hope you can help me.",
        ),
        "wordy": (
            "I have never had to write to you before, but today I need your help.",
            "I don't know if I am right here, but it is about [order {number}|my order].",
        ),
        "upset": ("I am very unhappy with [order {number}|you]!", "This is the last time that I buy from you!"),
    },
}

#: Answers, reactions and farewells.
PHRASES: Phrases = {
    # Answers to questions.
    "number": {
        "curt": ("{number}.",),
        "terse": ("{number}.", "Order {number}."),
        "plain": ("It is {number}.", "The number is {number}."),
        "polite": ("Of course, it is {number}.", "It is order {number}, thank you."),
        "wordy": ("Let me see, my papers say {number}.", "I wrote it down: {number}."),
        "upset": ("{number}, as on every letter!", "It is {number}! Can't you see that?"),
    },
    "number_corrected": {
        "terse": ("Sorry, {number}.", "I meant {number}."),
        "plain": ("I misread it. It is {number}.", "Sorry, the number is {number}."),
        "polite": ("I am so sorry, it is {number}.", "My mistake, I meant {number}. Sorry."),
        "wordy": ("Oh, I need my glasses: it is {number}.", "Let me see again. It says {number}, I think."),
        "upset": ("Fine! It is {number} then!", "Then it is {number}! Who can read this?"),
    },
    "number_unknown": {
        "terse": ("No idea.", "I don't have it."),
        "plain": ("I don't know the number.", "I don't have the number here."),
        "polite": ("I am sorry, I don't have it.", "I am afraid I can't find the number."),
        "wordy": ("I threw the letter away, so I don't know it.", "I looked for it, but I can't find it."),
        "upset": ("How should I know that?", "I don't have it! That is your job!"),
    },
    "name": {
        "terse": ("{name}.", "{name} it is."),
        "plain": ("My name is {name}.", "I am {name}."),
        "polite": ("Of course, my name is {name}.", "It is {name}, thank you."),
        "wordy": ("I am {name}, I have been here for years.", "It should be under {name}, like always."),
        "upset": ("{name}! You should know me!", "It is {name}!"),
    },
    "item": {
        "terse": ("The {item}.", "A {item}."),
        "plain": ("It was a {item}.", "I bought a {item}."),
        "polite": ("It is about the {item}.", "It was the {item}, thank you."),
        "wordy": ("It is the {item} that I bought for the {place}.", "Let me see, that was the {item}."),
        "upset": ("The {item}, of course!", "The {item}! What else?"),
    },
    "code": {
        "terse": ("{code}.", "Postcode {code}."),
        "plain": ("The postcode is {code}.", "It is {code}."),
        "polite": ("Of course, it is {code}.", "My postcode is {code}, thank you."),
        "wordy": ("I think it is {code}.", "I wrote it down: the postcode is {code}."),
        "upset": ("{code}! What do you need that for?", "It is {code}! Go on!"),
    },
    "want_refund": {
        "terse": ("Refund.", "Money back."),
        "plain": ("I want my money back.", "A refund, please."),
        "polite": ("I would like a refund, please.", "If I may choose, the money back, please."),
        "wordy": (
            "I don't need it any more, so I want the money back.",
            "My {person} has one now, so a refund is fine.",
        ),
        "upset": ("My money back, what else?", "I want a refund, and I want it now!"),
    },
    "want_new": {
        "terse": ("A new one.", "Send it again."),
        "plain": ("I want a new one.", "Please send it again."),
        "polite": ("I would like a new one, please.", "If I may choose, a new one, please."),
        "wordy": ("I still need it, so please send a new one.", "I was so happy about it, so please send it again."),
        "upset": ("A new one, and soon!", "I want what I paid for! Send it again!"),
    },
    "used_yes": {
        "terse": ("Used it once.", "Yes, used."),
        "plain": ("I used it for a week.", "Yes, I used it."),
        "polite": ("I am afraid I used it once.", "Yes, I did use it, I am sorry."),
        "wordy": ("Well, I used it to see if I like it.", "My {person} used it for a week, and so did I."),
        "upset": ("Of course I used it! I paid for it!", "Yes, I used it! So what?"),
    },
    "used_no": {
        "terse": ("Not used.", "No, it is new."),
        "plain": ("No, I never used it.", "It is still in the box."),
        "polite": ("No, it is as good as new.", "I never opened the box, thank you."),
        "wordy": ("I opened the box, but I never used it.", "No, it was in the {place}, in the box, all the time."),
        "upset": ("No! It is still in the box!", "I never used it, as I said!"),
    },
    "city": {
        "terse": ("{city}.", "To {city}."),
        "plain": ("It should go to {city}.", "My new address is in {city}."),
        "polite": ("To {city}, please.", "My new address is in {city}, thank you."),
        "wordy": ("I live in {city} now, with my {person}.", "It should go to {city}, where I moved."),
        "upset": ("To {city}! Not the old one!", "{city}! Write it down this time!"),
    },
    "irrelevant": {
        "curt": ("Why?",),
        "terse": ("Why do you ask?", "Why?"),
        "plain": ("Why do you need that?", "That is not the problem."),
        "polite": ("I am sorry, why do you need that?", "I don't think that helps, sorry."),
        "wordy": ("I don't see what that has to do with it.", "Is that so? I don't see why you ask."),
        "upset": ("What has that to do with it?", "That is not the problem!"),
    },
    "again": {
        "terse": ("As I said:", "Again:"),
        "plain": ("I told you before.", "As I said before:"),
        "polite": ("I think I said it before:", "I told you, I think."),
        "wordy": ("I told you that, but let me say it again.", "Did I not say that before?"),
        "upset": ("I told you! Can't you read?", "Again? I told you!"),
    },
    # Changes of mind, after an answer.
    "rather_refund": {
        "terse": ("And I want a refund now.", "A refund is better, though."),
        "plain": ("I changed my mind: I want my money back.", "If it is lost, I want my money back now."),
        "polite": ("I have changed my mind, I would like a refund, sorry.", "A refund would be better now, please."),
        "wordy": ("My {person} found one, so I want the money back now.", "I thought about it: a refund is better."),
        "upset": ("And now I want my money back!", "I don't want a new one now! I want a refund!"),
    },
    "rather_new": {
        "terse": ("And I want a new one now.", "A new one is better, though."),
        "plain": ("I changed my mind: I want a new one.", "If it is lost, I want a new one now."),
        "polite": ("I have changed my mind, I would like a new one, sorry.", "A new one would be better now, please."),
        "wordy": ("My {person} would like one too, so I want a new one.", "I thought about it: a new one is better."),
        "upset": ("And now I want a new one!", "I don't want a refund now! I want a new one!"),
    },
    # Reactions.
    "wait": {
        "curt": ("OK.",),
        "terse": ("OK.", "Please do."),
        "plain": ("OK, I am waiting.", "Yes, please do that."),
        "polite": ("Of course, thank you.", "That would be nice, thank you."),
        "wordy": ("Fine, I have some tea while you look.", "OK, let me know when it is done."),
        "upset": ("Then do it!", "I have waited for days, so go on!"),
    },
    "hurry": {
        "curt": ("And now?",),
        "terse": ("And?", "And now?"),
        "plain": ("I am still waiting.", "My problem is still there."),
        "polite": ("I am sorry, but nothing has happened yet.", "Could you do something about it, please?"),
        "wordy": ("You are very nice, but that does not help me.", "We talk and talk, and nothing happens."),
        "upset": ("Do something!", "Words! I need help, not words!"),
    },
    "confused": {
        "curt": ("What?",),
        "terse": ("What?", "I don't get it."),
        "plain": ("I don't understand.", "What do you mean?"),
        "polite": ("I am sorry, I don't understand.", "Sorry, could you say that again?"),
        "wordy": ("I read that twice, and I don't understand it.", "I don't know what you mean by that."),
        "upset": ("What is that about?", "That makes no sense!"),
    },
    "contradiction": {
        "curt": ("What?",),
        "terse": ("Which is it?", "So what is it now?"),
        "plain": ("You say many things at once. Which is it?", "That can't all be true."),
        "polite": ("I am sorry, which of these is it?", "I am afraid that can't all be true."),
        "wordy": ("First this, then that: I don't know what is true now.", "You say so much at once that I am lost."),
        "upset": ("What is it now?", "You say everything at once!"),
    },
    "false": {
        "curt": ("No.",),
        "terse": ("Not true.", "No, that is wrong."),
        "plain": ("That is not true, I looked.", "I just looked, and that is not so."),
        "polite": ("I am sorry, but I don't think that is true.", "I looked, and I am afraid that is not so."),
        "wordy": ("My page says something else, and I looked twice.", "I don't want to be rude, but that is not true."),
        "upset": ("That is a lie!", "No! I looked, and that is not true!"),
    },
    "unfounded": {
        "curt": ("No.",),
        "terse": ("Did you look?", "How do you know?"),
        "plain": ("How do you know? You did not look.", "Please look first."),
        "polite": ("Could you look first, please?", "I am sorry, but did you look?"),
        "wordy": ("How can you know that if you did not look?", "You say that so fast. Did you look at all?"),
        "upset": ("You did not even look!", "How do you know that? Look first!"),
    },
    "why": {
        "curt": ("Why?",),
        "terse": ("Why?", "No? Why?"),
        "plain": ("Why not?", "Why is that not possible?"),
        "polite": ("May I ask why?", "Could you tell me why, please?"),
        "wordy": ("I would like to know why, if I may.", "And why is that, if it was fine before?"),
        "upset": ("And why not?", "Why? I want to know why!"),
    },
    "and_then": {
        "curt": ("And now?",),
        "terse": ("And now?", "So?"),
        "plain": ("And what happens now?", "So what do we do?"),
        "polite": ("I see. What can you do for me?", "Thank you. And what happens now?"),
        "wordy": ("I see, but what does that mean for me?", "So that is how it is. And what do we do now?"),
        "upset": ("And what do you do about it?", "So do something!"),
    },
    "greeting": {
        "curt": ("OK.",),
        "terse": ("Hi.", "Hello."),
        "plain": ("Hello. Can you help me?", "Hi, I am still here."),
        "polite": ("Hello, and thank you for your time.", "Good morning to you too."),
        "wordy": ("Hello, it is nice to talk to somebody.", "Hello to you too. It is about what I wrote."),
        "upset": ("Hello, yes. And now?", "Yes, hello! Can we go on?"),
    },
    # Farewells.
    "done": {
        "curt": ("Thanks.",),
        "terse": ("Thanks.", "Great, bye."),
        "plain": ("Thank you, that is all.", "Great, thank you."),
        "polite": ("Thank you very much for your help.", "That is very kind, thank you so much."),
        "wordy": ("That was fast, my {person} will be happy. Thanks.", "Thank you, now I can have my tea."),
        "upset": ("At last! Thanks.", "Fine. It took you long enough."),
    },
    "refused": {
        "terse": ("Too bad. Bye.", "OK then."),
        "plain": ("Too bad, but I understand.", "OK, thank you for the answer."),
        "polite": ("I understand. Thank you all the same.", "That is a pity, but thank you for looking."),
        "wordy": (
            "My {person} said so, and she was right. Thanks all the same.",
            "I see, then I have to live with it. Bye.",
        ),
        "upset": ("That is bad, but fine. Bye.", "I don't like it, but I get it."),
    },
    "informed": {
        "curt": ("Thanks.",),
        "terse": ("OK, thanks.", "Good to know."),
        "plain": ("Good, thank you.", "OK, now I know. Thanks."),
        "polite": ("Thank you, that is all I need.", "Good to know, thank you very much."),
        "wordy": ("Then I can tell my {person}. Thank you.", "Good, then I don't have to think about it. Thanks."),
        "upset": ("OK. You could have said so before.", "Fine, then. Bye."),
    },
    "one_more": {
        "terse": ("One more thing.", "Next:"),
        "plain": ("There is one more thing.", "And something else:"),
        "polite": ("Could you help me with one more thing?", "If I may, one more thing."),
        "wordy": ("While you are here, there is one more thing.", "That was nice. And now the next one."),
        "upset": ("And that is not all!", "But there is more!"),
    },
    "give_up": {
        "curt": ("Bye.",),
        "terse": ("Forget it.", "I am leaving."),
        "plain": ("This does not help me. Goodbye.", "I give up."),
        "polite": ("I am sorry, but I have to go. Goodbye.", "I don't think you can help me. Goodbye."),
        "wordy": ("I have better things to do than this. Goodbye.", "I will ask somebody else, I have no more time."),
        "upset": ("Enough! I am leaving!", "Never again! Goodbye!"),
    },
}

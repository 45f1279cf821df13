"""Negation, person and question of verbs, which lemmatisation would drop.

Turkish verbs carry negation and person ("okumadım", I did not read), Italian
and Spanish ones the person, and in these languages and in Korean a question may
differ from a statement by its mark alone. `turkish` and `romance` give a word
a pronoun before the verb where the sentence has none, and in Turkish DEĞİL
after it. The rules are those of regular forms, with tables of frequent
irregular ones; a form that none fits keeps its lemma alone.
"""

import itertools
import re

_Endings = tuple[tuple[re.Pattern[str], str], ...]

# Turkish: what follows the stem of a verb.
_NEGATIVE = re.compile(r"(?:y?[ae])?m[aeıiuü](?=.)|(?:y?[ae])?m[ae]z?$")
_NOUN = re.compile(  # of a verb: okumak, okuması, okumaya, okumalı
  r"m[ae](?:k|kl?.*|s[ıi].*|y[ae]|y[ıi]|n[ıi]n|d[ae]|d[ae]n|l[ıi].*|lar.*|ler.*)"
)
_TURKISH_PERSONS = (
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])m"), "ben"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])k"), "biz"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])n[ıiuü]z"), "siz"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])n"), "sen"),
  (
    re.compile(r".*(?:yor|m[ıiuü]ş|[ae]c[ae]ğ|[aeıiuü]r|m[ae]l[ıi]y)[ıiuü]m"),
    "ben",
  ),
  (re.compile(r".*m[ae]m"), "ben"),  # gelmem, yapamam
  (
    re.compile(r".*(?:yor|m[ıiuü]ş|[ae]c[ae]ğ|[aeıiuü]r|m[ae]l[ıi]y)[ıiuü]z"),
    "biz",
  ),
  (re.compile(r".*m[ae]y[ıi]z"), "biz"),
  (re.compile(r".*s[ıiuü]n[ıiuü]z"), "siz"),
  (re.compile(r".*s[ıiuü]n"), "sen"),
)
# After a noun or adjective: hastayım, değilsin.
_TURKISH_BEING = (
  (re.compile(r"y[ıiuü]m"), "ben"),
  (re.compile(r"y[ıiuü]z"), "biz"),
  (re.compile(r"s[ıiuü]n[ıiuü]z"), "siz"),
  (re.compile(r"s[ıiuü]n"), "sen"),
)
_NOT = {"değilim": "ben", "değilsin": "sen", "değiliz": "biz"}
_NOT |= {"değilsiniz": "siz", "değil": "", "değiller": "onlar"}
_QUESTION = re.compile(r"m[ıiuü](?:y[ıiuü][mz]|s[ıiuü]n(?:[ıiuü]z)?)?")
# A verb that the dictionary does not know, with its negation.
_UNKNOWN = re.compile(
  r"(.{2,}?)(m[ae]m[ıi]ş.*|m[ae]d[ıi].*|m[ıiuü]yor.*|m[ae]y[ae]c[ae][kğ].*)"
)
# Beside these, a form in -me or -mem is a noun: gelmem lazım, yüzme güzeldir.
_PREDICATE = re.compile(
  r"lazım|gerek\w*|yasak|zor|kolay|güzel|iyi|kötü|\w+[dt][ıiuü]r"
)


def turkish(word: str, lemma: str, finite: bool) -> list[str]:
  """Glosses of a Turkish word, in lower case.

  Args:
    word: in lower case.
    lemma: of it, by the dictionary.
    finite: whether another word of the sentence is a finite verb; okuma is a
      noun beside one (reading), else an order (do not read).

  Returns:
    Pronoun, lemma and `değil`, as far as they are there.
  """
  if word in _NOT:
    return [each for each in (_NOT[word], "değil") if each]
  if _QUESTION.fullmatch(word):
    return [*_person(word[2:], _TURKISH_BEING), "mi"]
  if word == lemma and (unknown := _UNKNOWN.fullmatch(word)):
    lemma = unknown[1]
  if not word.startswith(lemma) or word == lemma or len(lemma) < 2:
    return [lemma]
  rest = word[len(lemma) :]
  if _is_negative(rest, finite):
    return [*_person(rest, _TURKISH_PERSONS), lemma, "değil"]
  if _is_finite(rest):
    return [*_person(rest, _TURKISH_PERSONS), lemma]
  return [*_person(rest, _TURKISH_BEING), lemma]


def is_finite_turkish(word: str, lemma: str) -> bool:
  """Whether a word is a finite form of a verb, or a predicate like one."""
  if _PREDICATE.fullmatch(word):
    return True
  rest = word[len(lemma) :] if word.startswith(lemma) else ""
  return bool(rest) and (_is_finite(rest) or _is_negative(rest, finite=True))


def _is_negative(rest: str, finite: bool) -> bool:
  if re.fullmatch(r"m[ae]", rest):
    return not finite
  if re.fullmatch(r"m[ae]y[ıi]n([ıi]z)?", rest):  # beklemeyin!
    return True
  if re.fullmatch(r"(y?[ae])?m[ae](m|z|y[ıi]z|zs[ıi]n.*|zl[ae]r|d[ae]n)", rest):
    return rest not in ("mam", "mem") or not finite
  if _NOUN.fullmatch(rest):
    return bool(re.fullmatch(r"m[ae]m[ae]k.*|m[ae]m[ae]l[ıi].*", rest))
  match = _NEGATIVE.match(rest)
  return bool(match) and bool(_is_finite(rest[match.end() :]))


def _is_finite(rest: str) -> bool:
  """Whether what follows a stem, or its negation, starts with a tense."""
  return bool(
    re.match(
      r"(?:y?[ae]b[ıi]l)?(?:[ıiuü]?yor|[dt][ıiuü](?:m|n|k|n[ıiuü]z|l[ae]r)?$|m[ıiuü]ş|"
      r"y?[ae]c[ae][kğ]|[aeıiuü]?r(?:[ıiuü]m|[ıiuü]z|s[ıiuü]n.*|l[ae]r)?$|"
      r"s[ae](?:m|n|k|n[ıi]z|l[ae]r)?$|m[ae]l[ıi])",
      rest,
    )
  )


def _person(rest: str, endings: _Endings) -> list[str]:
  """The pronoun of the first ending that fits, if one does."""
  found = (person for pattern, person in endings if pattern.fullmatch(rest))
  return list(itertools.islice(found, 1))


# Irregular forms: form -> infinitive and person, 1 to 6 (4 is we); 0 if the
# form has several. simplemma takes many of them for other words.
_IRREGULAR = {
  "it": {
    "essere": "sono=0 sei=2 è=3 siamo=4 siete=5 ero=1 eri=2 era=0 eravamo=4 "
    "eravate=5 erano=6",
    "avere": "ho=1 hai=2 ha=3 abbiamo=4 avete=5 hanno=6",
    "sapere": "so=1 sai=2 sa=3 sappiamo=4 sapete=5 sanno=6",
    "fare": "faccio=1 fai=2 fa=3 facciamo=4 fate=5 fanno=6",
    "andare": "vado=1 vai=2 va=3 andiamo=4 andate=5 vanno=6",
    "venire": "vengo=1 vieni=2 viene=3 veniamo=4 venite=5 vengono=6",
    "stare": "sto=1 stai=2 sta=3 stiamo=4 state=0 stanno=6",
    "dire": "dico=1 dici=2 dice=3 diciamo=4 dite=5 dicono=6",
    "potere": "posso=1 puoi=2 può=3 possiamo=4 potete=5 possono=6",
    "volere": "voglio=1 vuoi=2 vuole=3 vogliamo=4 volete=5 vogliono=6",
    "dovere": "devo=1 devi=2 deve=3 dobbiamo=4 dovete=5 devono=6",
    "dare": "do=1 dai=0 diamo=4 danno=0",
  },
  "es": {
    "ser": "soy=1 eres=2 es=3 somos=4 sois=5 son=6",
    "estar": "estoy=1 estás=2 está=3 estamos=4 estáis=5 están=6",
    "haber": "he=1 has=2 ha=3 hemos=4 habéis=5 han=6 hay=3",
    "tener": "tengo=1 tienes=2 tiene=3 tenemos=4 tenéis=5 tienen=6",
    "venir": "vengo=1 vienes=2 viene=3 venimos=4 venís=5 vienen=6",
    "ir": "voy=1 vas=2 va=3 vamos=4 vais=5 van=6",
    "hacer": "hago=1 haces=2 hace=3 hacemos=4 hacéis=5 hacen=6",
    "saber": "sé=1 sabes=2 sabe=3 sabemos=4 sabéis=5 saben=6",
    "poder": "puedo=1 puedes=2 puede=3 podemos=4 podéis=5 pueden=6",
    "querer": "quiero=1 quieres=2 quiere=3 queremos=4 queréis=5 quieren=6",
    "decir": "digo=1 dices=2 dice=3 decimos=4 decís=5 dicen=6",
    "dar": "doy=1 das=2 da=3 damos=4 dais=5 dan=6",
    "ver": "veo=1 ves=2 ve=0 vemos=4 veis=5 ven=0",
    "hablar": "hablo=1 hablas=2 habla=0 hablamos=4 habláis=5 hablan=6",
  },
}
_FORMS = {
  spoken: {
    form: (verb, int(person))
    for verb, forms in verbs.items()
    for form, person in (pair.split("=") for pair in forms.split())
  }
  for spoken, verbs in _IRREGULAR.items()
}
_PRONOUNS = {
  "it": ("", "io", "tu", "", "noi", "voi", ""),
  "es": ("", "yo", "tú", "", "nosotros", "vosotros", ""),
}
SUBJECTS = {
  "tr": {"ben", "sen", "o", "biz", "siz", "onlar"},
  "it": {"io", "tu", "lui", "lei", "noi", "voi", "loro", "egli", "ella"},
  "es": {"yo", "tú", "él", "ella", "usted", "nosotros", "nosotras", "vosotros",
         "ellos", "ellas", "ustedes"},
}  # fmt: skip
_REGULAR = {
  "it": (
    (re.compile(r".*(?:avo|evo|ivo|erò|irò|ai|ii|o)"), 1),
    (re.compile(r".*(?:avi|evi|ivi|erai|irai|asti|esti|isti|i)"), 2),
    (re.compile(r".*(?:iamo|avamo|evamo|ivamo|eremo|iremo|ammo|immo)"), 4),
    (re.compile(r".*(?:ate|ete|ite)"), 5),
    (re.compile(r".*(?:ano|ono|anno|arono|irono)"), 6),
  ),
  "es": (
    (re.compile(r".*(?:é|í|o)"), 1),
    (re.compile(r".*(?:as|es|aste|iste|ás)"), 2),
    (re.compile(r".*mos"), 4),
    (re.compile(r".*(?:áis|éis|ís|steis)"), 5),
    (re.compile(r".*(?:an|en|on)"), 6),
  ),
}
_ITALIAN = "il la i gli le un una uno del della dei di al"
_SPANISH = "el la los las un una unos unas del al de mi tu su"
_ARTICLES = {"it": set(_ITALIAN.split()), "es": set(_SPANISH.split())}
_INFINITIVE = {
  "it": re.compile(r".+[aei]r(?:e|si)"),
  "es": re.compile(r".+[aei]r"),
}


def romance(word: str, lemma: str, spoken: str, before: str) -> tuple[str, str]:
  """The lemma of an Italian or Spanish word and the pronoun of its person.

  Args:
    word: in lower case.
    lemma: of it, by the dictionary.
    spoken: it or es.
    before: the word before, in lower case; a noun or verb follows an article.

  Returns:
    The lemma, and a pronoun or an empty text.
  """
  if word in _FORMS[spoken] and before not in _ARTICLES[spoken]:
    verb, person = _FORMS[spoken][word]
    return verb, _PRONOUNS[spoken][person]
  if (
    not _INFINITIVE[spoken].fullmatch(lemma)
    or word == lemma
    or before in _ARTICLES[spoken]
  ):
    return lemma, ""
  persons = [p for pattern, p in _REGULAR[spoken] if pattern.fullmatch(word)]
  return lemma, _PRONOUNS[spoken][max(persons)] if persons else ""

"""The person of Italian and Spanish verbs, which lemmatisation would drop.

The rules are those of regular forms, with tables of frequent irregular ones; a
form that none fits keeps its lemma alone. Turkish: `turkish_verbs.py`.
"""

import re

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
    (re.compile(r".*(?:avo|evo|ivo|rò|ai|ii|o)"), 1),
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
  "es": re.compile(r".*[aeií]r"),
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

"""Glosses made of texts by lemmatisation."""

import pytest

from data_pipeline.texts import lemma_gloss as maker
from signllm_jax.core import errors


@pytest.mark.parametrize(
  ("spoken", "text", "made"),
  [
    ("en", "So we are heating the oils.", "SO WE BE HEATING THE OIL"),
    ("en", "Don't go, it's John's!", "DO NOT GO IT BE JOHN"),
    ("en", "They've gone, I can’t sing.", "THEY HAVE GO I CAN NOT SING"),
    ("en", "At 10:30 it costs 3.50", "AT 10:30 IT COST 3.50"),
    ("de", "Die Häuser sind groß.", "DER HAUS SEIN GROSS"),
    ("de", "Wie geht's?", "WIE GEHEN ?"),
    ("fr", "L’eau est froide aujourd'hui.", "LE EAU ÊTRE FROID AUJOURD'HUI"),
    ("fr", "Y a-t-il un rendez-vous ?", "Y AVOIR IL UN RENDEZ-VOUS ?"),
    ("it", "Dov'è l'ospedale?", "DOVE ESSERE IL OSPEDALE ?"),
    ("es", "¿Dónde están los niños?", "DÓNDE ESTAR EL NIÑO ?"),
    ("tr", "İstanbul'da IŞIK, iyi ışık", "İSTANBUL IŞIK İYİ IŞIK"),
  ],
)
def test_gloss_is_lemmas_in_upper_case(spoken, text, made):
  assert maker.make_gloss(text, spoken) == made


def test_english_lemmas_are_words():
  forms = "thinking growing playing mixed fixed cancelled singing swinging"
  assert maker.make_gloss(forms, "en") == (
    "THINK GROW PLAY MIX FIX CANCEL SING SWING"
  )


def test_korean_gloss_drops_particles_and_endings():
  assert maker.make_gloss("저는 학교에 갔습니다.", "ko") == "저 학교 가다"
  assert maker.make_gloss("물을 마시지 않아요!", "ko") == "물 마시다 않다"


def test_gloss_of_the_corpus_comes_first():
  assert maker.complete(" HALLO  WELT", "Guten Tag", "de") == (
    "HALLO WELT",
    False,
  )
  assert maker.complete("", "good days", "en") == ("GOOD DAY", True)


def test_text_without_words_is_refused():
  with pytest.raises(errors.DataError, match="no words"):
    maker.make_gloss("?!", "en")


def test_language_without_rules_is_refused():
  with pytest.raises(errors.UsageError, match=r"'xx'.*tr, ko"):
    maker.make_gloss("hello", "xx")


@pytest.mark.parametrize(
  ("spoken", "text", "made"),
  [
    ("tr", "Kitabımı okudum.", "KİTAP BEN OKU"),
    ("tr", "Kitabımı okumadım.", "KİTAP BEN OKU DEĞİL"),
    ("tr", "Geliyorum.", "BEN GEL"),
    ("tr", "Gelmiyorum.", "BEN GEL DEĞİL"),
    ("tr", "Bırak bunu.", "BIRAK BU"),
    ("tr", "Bunu bırakma.", "BU BIRAK DEĞİL"),
    ("tr", "Dokunma bana.", "DOKUN DEĞİL BEN"),
    ("tr", "Okuma yazma bilmiyorum.", "OKU YAZ BEN BİL DEĞİL"),
    ("tr", "Yüzme güzeldir.", "YÜZ GÜZEL"),
    ("tr", "Gelmem lazım.", "GEL LAZIM"),
    ("tr", "Yapamam.", "BEN YAP DEĞİL"),
    ("tr", "Beklemeyin!", "BEKLE DEĞİL"),
    ("tr", "Hiç görmemiş.", "HİÇ GÖR DEĞİL"),
    ("tr", "Toprağa gömüyor.", "TOPRAK GÖM"),
    ("tr", "Annem gelmedi.", "ANNE GEL DEĞİL"),
    ("tr", "Sen gelmedin mi?", "SEN GEL DEĞİL Mİ ?"),
    ("tr", "Hasta değilim.", "HASTA BEN DEĞİL"),
    ("tr", "Hastayım.", "BEN HASTA"),
    ("tr", "Okumaz.", "OKU DEĞİL"),
    ("tr", "Okuyamam.", "BEN OKU DEĞİL"),
    ("tr", "Okuyamıyorum.", "BEN OKU DEĞİL"),
    ("tr", "Gelemedi.", "GEL DEĞİL"),
    ("tr", "Gidebilir.", "GİT"),
    ("tr", "Gidebilirim.", "BEN GİT"),
    ("tr", "Gidemem.", "BEN GİT DEĞİL"),
    ("tr", "Yiyemezsin.", "SEN YE DEĞİL"),
    ("tr", "Anlıyorum.", "BEN ANLA"),
    ("tr", "Sevmezdim.", "BEN SEV DEĞİL"),
    ("tr", "Severdim.", "BEN SEV"),
    ("tr", "Olmasın.", "OL DEĞİL"),
    ("tr", "Gelmezse.", "GEL DEĞİL"),
    ("tr", "Yapılamaz.", "YAP DEĞİL"),
    ("tr", "Okutmadı.", "OKU DEĞİL"),
    ("tr", "Bilmeyen var.", "BİL DEĞİL VAR"),
    ("tr", "Gelmediğini gördüm.", "GEL DEĞİL BEN GÖR"),
    ("tr", "Sinemadan geldik.", "SİNEMA BİZ GEL"),
    ("tr", "Okumasını gördüm.", "OKU BEN GÖR"),
    ("tr", "Hazır değildik.", "HAZIR BİZ DEĞİL"),
    ("it", "Andrò.", "IO ANDARE"),
    ("es", "Iré.", "YO IR"),
    ("it", "Lo so.", "LO IO SAPERE"),
    ("it", "Non lo so.", "NON LO IO SAPERE"),
    ("it", "Vieni?", "TU VENIRE ?"),
    ("it", "Non vengo.", "NON IO VENIRE"),
    ("it", "Lo zio parla.", "LO ZIO PARLARE"),
    ("es", "Lo sé.", "ÉL YO SABER"),
    ("es", "No lo sé.", "NO ÉL YO SABER"),
    ("es", "¿Vienes?", "TÚ VENIR ?"),
    ("es", "Los niños comen.", "EL NIÑO COMER"),
    ("en", "I dunno.", "I DO NOT KNOW"),
    ("en", "Isn't it cold?", "BE NOT IT COLD ?"),
    ("de", "Ich weiß nicht.", "ICH WISSEN NICHT"),
    ("de", "Kommst du?", "KOMMEN DU ?"),
    ("fr", "Je ne sais pas.", "MOI NE SAVOIR PAS"),
    ("fr", "Tu viens ?", "TU VENIR ?"),
    ("ko", "안 가요.", "안 가다"),
    ("ko", "몰라요.", "모르다"),
    ("ko", "먹지 마세요.", "먹다 말다"),
    ("ko", "학생이 아니에요?", "학생 아니다 ?"),
  ],
)
def test_negation_person_and_question_are_kept(spoken, text, made):
  assert maker.make_gloss(text, spoken) == made


@pytest.mark.parametrize(
  ("spoken", "pairs"),
  [
    ("en", "I have time.|I have no time. / He always sings.|He never sings."),
    ("en", "Somebody came.|Nobody came. / He knows.|He doesn’t know."),
    ("en", "I could swim.|I couldn't swim. / It is right.|It ain't right."),
    ("de", "Ich habe Zeit.|Ich habe keine Zeit. / Jemand kam.|Niemand kam."),
    ("de", "Das ist möglich.|Das ist unmöglich. / Mit Milch.|Ohne Milch."),
    ("fr", "Il vient.|Il ne vient jamais. / C'est bon.|C'est pas bon."),
    ("fr", "Vas-y.|N'y va pas. / Quelqu'un vient.|Personne ne vient."),
    ("it", "C'è.|Non c'è. / Qualcuno viene.|Nessuno viene. / Parlo.|Parla."),
    ("it", "Vieni!|Non venire! / Ho tempo.|Non ho tempo. / Andrò.|Andrai."),
    ("es", "Hay agua.|No hay agua. / Algún niño.|Ningún niño. / Iré.|Irás."),
    ("es", "Alguien viene.|Nadie viene. / Comí.|Comió. / Hablo.|Hablas."),
    ("ko", "가요.|안 가요. / 가요.|못 가요. / 있어요.|없어요."),
    ("ko", "가능해요.|불가능해요. / 알아요.|몰라요. / 가요?|가요."),
    ("ko", "갈 수 있어요.|갈 수 없어요. / 먹으세요.|먹지 마세요."),
    ("tr", "Gelir.|Gelmez. / Gider.|Gitmez. / Gidebilir.|Gidemez. / Var.|Yok."),
    ("tr", "Gelelim.|Gelmeyelim. / Olmalı.|Olmamalı. / Gelen.|Gelmeyen."),
  ],
)
def test_opposites_have_different_glosses(spoken, pairs):
  for pair in pairs.split(" / "):
    first, second = pair.split("|")
    assert maker.make_gloss(first, spoken) != maker.make_gloss(second, spoken)


def test_words_that_may_be_negated_are_named():
  """İçmem is "I do not drink" or "my drink"; Yılmaz a name or "fears not"."""
  assert maker.unsure_words("Süt içmem, Yılmaz gelmez.", "tr") == [
    "içmem",
    "yılmaz",
  ]
  assert maker.unsure_words("Elmam ve annem sinemadan gelmedi.", "tr") == []
  assert maker.unsure_words("I never drink milk.", "en") == []

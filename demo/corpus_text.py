"""The texts of the documents that make_corpus.py writes. All of it is fiction."""

PDF = {
    "incident-response.pdf": ("Incident response", [
        "# Incident response",
        "This plan says who does what when a service of Tsukigase Instruments fails. It covers the data platform, the "
        "customer portal and the update service for gateways.",
        "# Severities",
        "Severity 1: readings of customers are lost or may be lost, or the portal is down for everybody. Severity 2: some "
        "customers are affected. Severity 3: everything else that needs attention before the next working day.",
        "# First minutes",
        "The on-call engineer acknowledges a severity 1 incident within 5 minutes and a severity 2 incident within 30 minutes. "
        "Without an acknowledgement the pager calls the second engineer, and after ten more minutes the head of operations.",
        "Whoever acknowledges is the incident commander until somebody else takes over by saying so in the channel "
        "#incidents. The commander does not repair anything; the commander decides, asks and writes the timeline.",
        "# Telling customers",
        "The status page is updated every 30 minutes during a severity 1 incident, even when there is nothing new. The first "
        "notice says what does not work, not why.",
        "# Afterwards",
        "A review without blame takes place within five working days. Each action has an owner and a date. Reviews of severity 1 "
        "incidents are read by the board.",
    ]),
    "backup-and-restore.pdf": ("Backup and restore", [
        "# Backup and restore",
        "Backups are only as good as the last restore that was tried. The platform team restores one database of each kind on the "
        "first Monday of every quarter and writes down how long it took.",
        "# What is backed up",
        "The portal database is backed up every hour and kept for 35 days. The calibration database is backed up every night "
        "and kept for ten years, because certificates of calibration must be traceable. Raw readings are replicated to a "
        "second region and not backed up.",
        "# Where",
        "Copies go to the storage in Osaka and, encrypted with a key that the storage provider does not have, to the storage in "
        "Frankfurt. Backups cannot be deleted for 30 days, not even by administrators.",
        "# Restoring",
        "Open a ticket of the kind RESTORE and name the database and the point in time. A restore of the portal database takes "
        "about 40 minutes. Nobody restores over a running database: restore beside it, compare, then switch.",
    ]),
    "hs200-manual.pdf": ("HS-200 soil sensor: user manual", [
        "# HS-200 soil sensor: user manual",
        "The HS-200 measures moisture, temperature and salinity of soil in two depths, 10 and 40 centimeters, every fifteen "
        "minutes. Readings go by radio to an HG-10 gateway.",
        "# Installing",
        "Drill a hole of 32 millimeters with the supplied auger. Push the sensor in until the ring touches the ground; do not use "
        "a hammer. Fill the gap with slurry made of the same soil, as air around the electrodes makes the moisture read too low.",
        "# Battery",
        "The lithium cell lasts four years at the factory interval of fifteen minutes and about fourteen months at an interval of "
        "three minutes. Replace the cell (type ER14505) when the portal shows less than 3.2 volts. The seal must be replaced "
        "together with the cell.",
        "# Calibration",
        "Calibrate the sensor every 24 months, or after it was moved to soil of another kind. Use the reference liquid C-7: put the "
        "sensor in for ten minutes at 20 to 25 degrees and choose Calibrate in the app. The certificate is stored in the portal.",
        "# Technical data",
        "Moisture 0 to 60 percent by volume, accuracy 2 percent. Temperature -20 to 60 degrees, accuracy 0.3 degrees. Salinity 0 to "
        "8 dS/m. Protection IP68. Weight 310 grams.",
        "# Disposal",
        "Take the cell out before you dispose of the sensor. Tsukigase takes back old sensors free of charge.",
    ]),
}

PDF_JA = {
    "leave-policy.ja.pdf": ("休暇規程", [
        "# 休暇規程",
        "この規程は、月ヶ瀬計器株式会社の従業員の休暇について定める。",
        "# 年次有給休暇",
        "正社員には、暦年ごとに二十二日の年次有給休暇を与える。未使用の日数は八日を上限として翌年に繰り越すことができる。繰り越した日数は六月三十日に失効する。",
        "休暇を取ろうとする者は、十営業日前までに社内ポータル「クモ」で申請する。上長は三営業日以内に回答しなければならない。",
        "# 病気休暇",
        "病気で休むときは、初日の午前九時三十分までに上長へ連絡する。四日目からは医師の診断書が必要である。病気休暇は年次有給休暇から差し引かない。",
        "# 育児休業",
        "子の出生または養子縁組から二年以内に、父母はそれぞれ二十六週間の育児休業を取ることができる。休業中の給与は全額支給する。",
        "# 慶弔休暇",
        "本人の結婚は五日、配偶者または一親等の親族の死亡は七日とする。",
    ]),
    "hs200-manual.ja.pdf": ("土壌センサーHS-200 取扱説明書", [
        "# 土壌センサーHS-200 取扱説明書",
        "本製品は、深さ十センチと四十センチの二か所で土壌の水分、温度、塩分を十五分ごとに測定します。測定値は無線でゲートウェイHG-10へ送られます。",
        "# 設置",
        "付属の錐で直径三十二ミリの穴をあけ、リングが地面に触れるまで差し込みます。ハンマーでたたかないでください。すき間には同じ土で作った泥を詰めます。電極のまわりに空気があると、水分が低く表示されます。",
        "# 電池",
        "リチウム電池は、測定間隔が十五分のとき約四年もちます。三分間隔では約十四か月です。ポータルの表示が三・二ボルトを下回ったら交換してください。電池と一緒にパッキンも交換します。",
        "# 校正",
        "二十四か月ごと、または異なる土質の場所へ移したときに校正してください。標準液C-7に十分間浸し、アプリで「校正」を選びます。",
        "# 廃棄",
        "電池を取り外してから廃棄してください。使用済みの製品は当社が無料で引き取ります。",
    ]),
}

DOCX = {
    "expense-rules.docx": ("Expense rules", [
        "# Expense rules",
        "Money spent for work is paid back with the next salary when the claim is complete.",
        "# Claims",
        "Hand in an expense claim within 60 days of the expense, in the Kumo portal. Claims above 2,000 euros need the approval of the "
        "finance team before the money is spent.",
        "# Receipts",
        "A receipt is needed for every expense above 15 euros. A photo is enough if all of it can be read. Without a receipt, write what "
        "was bought, where and why, and let your team lead sign it.",
        "# Meals",
        [["Country", "Breakfast", "Lunch", "Dinner"], ["United Kingdom", "10 GBP", "15 GBP", "30 GBP"],
         ["Germany", "9 EUR", "14 EUR", "28 EUR"], ["Japan", "1,200 JPY", "1,800 JPY", "4,000 JPY"]],
        "Alcohol is not paid for, except at dinners with customers and up to a third of the bill.",
        "# Phones",
        "The company pays 20 euros per month towards a private phone that is used for on-call duty.",
    ]),
    "onboarding.docx": ("Your first week", [
        "# Your first week",
        "Welcome to Tsukigase Instruments. This plan helps new colleagues through their first five days.",
        "# Day one",
        "Collect your badge, laptop and two hardware keys at the reception at 9:00. Your buddy shows you the building and has lunch with "
        "you. In the afternoon you set up your accounts with the helpdesk.",
        "# Day two",
        "Safety training takes place in room Yoshino at 10:00 and is compulsory before you may enter the production hall.",
        "# Day three to five",
        "You build a sensor with your own hands in the workshop, visit the test field in Uda and read the handbook. On Friday you tell your "
        "team lead what confused you; the handbook is improved with what you say.",
        "# Probation",
        "The probation period is six months. There is a talk after six weeks and another after five months.",
    ]),
    "expense-rules.ja.docx": ("経費精算規程", [
        "# 経費精算規程",
        "業務のために立て替えた費用は、申請が整っていれば翌月の給与と一緒に支払う。",
        "# 申請",
        "経費は、支払いの日から六十日以内に社内ポータル「クモ」で申請する。三十万円を超える支出は、事前に経理部の承認を受けなければならない。",
        "# 領収書",
        "二千円を超える支出には領収書が必要である。読み取れるものであれば写真でもよい。",
        "# 出張の日当",
        [["区分", "日当", "宿泊費の上限"], ["国内", "二千八百円", "一万六千円"], ["海外", "六千円", "二万四千円"]],
        "日帰りの出張には日当を支給しない。ただし、片道二百キロを超えるときは半額を支給する。",
    ]),
}

# Encoding, byte order mark, text.
TEXT = {
    "support-levels.txt": ("cp1252", b"", """
SUPPORT LEVELS

Bronze – free of charge. Questions are answered by mail within three working days.

Silver – €450 per year. Answers within one working day, by mail or phone, 8:00–18:00 in your time zone.

Gold – €2,900 per year. Support answers a gold customer within two hours, day and night, and sends a spare gateway by
courier before the broken one has come back. Naïve questions are as welcome as clever ones.

The level belongs to the contract, not to the person who asks. Upgrades take effect at once, downgrades at the end of the
contract’s year.
"""),
    "meeting-rooms.txt": ("utf-8", b"\xef\xbb\xbf", """
MEETING ROOMS

Rooms are booked in the calendar. A booking lapses when nobody has checked in at the door's panel after ten minutes.

Yoshino (ground floor) seats 40 and has a hearing loop. Murō (first floor) seats 12. Asuka (second floor) seats 6 and has the
large whiteboard. The two phone booths on each floor cannot be booked and are for calls of up to half an hour.

Catering for a meeting is ordered in the canteen, extension 4460, before noon of the day before.
"""),
    "safety-rules.ja.txt": ("cp932", b"", """
製造棟の安全規則

一　製造棟に入る者は、安全教育を受けていなければならない。
二　ヘルメットは、クレーンのある組立場と倉庫の高い棚の間で必ず着用する。
三　安全靴は製造棟のすべての場所で着用する。来客には受付で貸し出す。
四　はんだ付けの作業場では保護めがねを着用し、換気扇を回す。
五　非常停止ボタンは赤色の柱にある。危険を感じたら、ためらわずに押してよい。押したことで責められることはない。
六　けがをしたときは、軽くても救護室（内線四一一九）に届け出る。
"""),
    "commuting.ja.txt": ("utf-16-le", b"\xff\xfe", """
通勤について

通勤手当は、最も経済的な経路の定期券の代金を、月額五万円を上限として支給する。

自転車で通勤する者には、月額二千円の手当を支給する。駐輪場は無料である。ヘルメットの着用と保険への加入を条件とする。

マイカー通勤は、最寄り駅から会社までバスがない場合に限り認める。会社の駐車場の利用料は月額三千五百円で、給与から差し引く。電気自動車の充電器は四台分あり、午前と午後で交代して使う。

通勤経路が変わったときは、一週間以内に人事部へ届け出る。
"""),
    "calibration-lab.ja.txt": ("euc-jp", b"", """
校正室の利用案内

校正室は本社二階にあり、室温は二十三度、湿度は五十パーセントに保たれている。

校正を依頼するときは、依頼書に型番、製造番号、希望日を書いて窓口に出す。標準の納期は五営業日である。急ぎの場合は割増料金を払えば二営業日で仕上げる。

標準器は年に一度、外部の認定機関で校正する。標準器を校正室の外へ持ち出してはならない。

校正証明書は十年間保管し、顧客はいつでもポータルから取り出すことができる。
"""),
    "visitors.ja.txt": ("iso2022_jp", b"", """
来客の受け入れ

来客があるときは、前日の正午までに受付システムへ氏名と会社名を登録する。

来客用の入館証は、本館一階の受付で受け取る。身分証明書の提示が必要である。入館証は見えるところに付け、帰るときに返す。

来客を一人にしてはならない。製造棟を案内するときは、撮影の禁止を必ず伝える。

駐車場は正門の左側に八台分ある。大型バスの場合は総務部に相談すること。
"""),
    "canteen.ja.txt": ("utf-16-be", b"", """
社員食堂のご案内

社員食堂は別館一階にあり、営業時間は午前十一時三十分から午後二時までです。

日替わり定食は五百二十円、麺類は四百円です。支払いは社員証で行い、翌月の給与から差し引きます。現金は使えません。

毎週水曜日は野菜の日で、肉を使わない献立だけを出します。食物アレルギーのある方は、前日までに厨房へお知らせください。

会議用の弁当は、前日の正午までに内線四四六〇で注文してください。
"""),
    "vpn-access.ja.html": ("cp932", b"", """
<html>
<head>
<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">
<title>社外からの接続</title>
</head>
<body>
<div class="navigation"><a href="index.html">社内ハンドブック</a></div>
<h1>社外からの接続</h1>
<p>社外から社内の資料や校正データベースを使うときは、必ずVPNで接続する。</p>
<h2>はじめに</h2>
<ul>
<li>ポータル「クモ」で権限を申請する。</li>
<li>接続ソフトを導入し、ハードウェアキーで認証する。パスワードは使えない。</li>
</ul>
<h2>つながらないとき</h2>
<p>エラーTK-419は、パソコンの時計が九十秒以上ずれていることを示す。自動時刻合わせを有効にして、
もう一度接続する。エラーTK-503はキーの期限切れである。ヘルプデスク（内線四四〇〇）が更新する。</p>
<p>公衆無線LANでVPNを使わずに社内のファイルを開いてはならない。</p>
</body>
</html>
"""),
}

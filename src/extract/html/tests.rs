use super::*;

fn markdown(html: &str) -> String {
    crate::extract::tidy::tidy(&read(html).0)
}

#[test]
fn headings_paragraphs_and_lists_become_markdown() {
    let html = "<h1>One</h1><p>First.</p><p>Second.</p><ul><li>a<li>b<ol><li>c</ol></ul><h2>Two</h2>";
    assert_eq!(markdown(html), "# One\n\nFirst.\n\nSecond.\n\n- a\n- b\n  1. c\n\n## Two");
}

#[test]
fn scripts_styles_and_navigation_are_left_out() {
    let html = "<nav>menu</nav><div class='navheader'>Prev</div><script>x()</script><style>p{}</style>\
                <p>Text<a class=headerlink href=#x>¶</a></p><footer>imprint</footer>";
    assert_eq!(markdown(html), "Text");
}

#[test]
fn a_page_of_nothing_but_navigation_is_read_all_the_same() {
    assert_eq!(markdown("<nav><a href=a>Chapter one</a></nav>"), "Chapter one");
}

#[test]
fn words_stay_apart_and_inline_elements_leave_no_marks() {
    assert_eq!(
        markdown("<p>the <a href=x>Debian Policy</a>, <b>bold</b>\n  <code>dh_make</code></p>"),
        "the Debian Policy, bold dh_make"
    );
}

#[test]
fn a_line_break_in_japanese_source_is_no_space() {
    assert_eq!(
        markdown("<p>自動時刻合わせを有効にして、\n  もう一度。\n VPN</p>"),
        "自動時刻合わせを有効にして、もう一度。 VPN"
    );
}

#[test]
fn code_keeps_its_lines_and_tables_their_rows() {
    assert_eq!(markdown("<pre>a\n  b</pre><p>x"), "```\na\n  b\n```\n\nx");
    assert_eq!(markdown("<table><tr><th>A<th>B<tr><td>1<td>2</table>"), "A | B\n1 | 2");
}

#[test]
fn the_title_is_the_head_s_or_else_the_first_heading() {
    assert_eq!(read("<title> A &amp; B </title><h1>C</h1>").1.as_deref(), Some("A & B"));
    assert_eq!(read("<h2>C</h2><svg><title>icon</title></svg>").1.as_deref(), Some("C"));
}

#[test]
fn elements_nested_four_thousand_deep_need_no_stack() {
    let html = format!("{}deep", "<div>".repeat(4_000));
    assert_eq!(markdown(&html), "deep");
}

#[test]
fn a_table_of_contents_does_not_stand_for_the_pages_that_it_lists() {
    let page = r#"<h1>Guide</h1><div class="toc"><ul><li>Harbours</li></ul></div><p>Read me.</p>
        <ul class="docnav"><li>Next: Harbours</li></ul>"#;
    assert_eq!(markdown(page), "# Guide\n\nRead me.");
    assert_eq!(markdown(r#"<div class="toc"><ul><li>Harbours</li></ul></div>"#), "- Harbours");
}

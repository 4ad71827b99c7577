//! PDF output of a paper after layout.

use std::num::NonZeroU16;

use anyhow::{Context, anyhow};
use krilla::action::{Action, LinkAction};
use krilla::annotation::{Annotation, LinkAnnotation, Target};
use krilla::color::rgb;
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup,
    TagKind, TagTree,
};
use krilla::text::{Font, TextDirection};
use krilla::{Document, SerializeSettings};
use krilla_svg::{SurfaceExt, SvgSettings};

use super::layout::{Mark, PAGE, Role, Set, Shade};
use super::{Block, Paper};
use crate::report::fonts::Face;

/// Content of the PDF file.
pub(super) fn write(paper: &Paper, set: &Set) -> anyhow::Result<Vec<u8>> {
    let settings = SerializeSettings { enable_tagging: true, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let fonts = Face::ALL.map(|face| Font::new(face.data().into(), 0));
    let mut parts: Vec<Vec<Identifier>> = set.nodes.iter().map(|_| Vec::new()).collect();
    for marks in &set.pages {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).context("the page has no size")?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        for mark in marks {
            let node = match mark {
                Mark::Text { node, .. } => *node,
                Mark::Picture { node, .. } => Some(*node),
                Mark::Bar { .. } => None,
                Mark::Link { .. } => continue,
            };
            let tag = match mark {
                _ if node.is_none() => {
                    ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other))
                }
                Mark::Text { .. } => ContentTag::Span(SpanTag::empty()),
                Mark::Picture { .. } | Mark::Bar { .. } | Mark::Link { .. } => ContentTag::Other,
            };
            let identifier = surface.start_tagged(tag);
            draw(&mut surface, mark, &fonts, paper).context("a page cannot be drawn")?;
            surface.end_tagged();
            if let Some(node) = node {
                parts[node].push(identifier);
            }
        }
        surface.finish();
        for mark in marks {
            if let Some((node, link)) = link(mark) {
                parts[node].push(page.add_tagged_annotation(link));
            }
        }
        page.finish();
    }
    document.set_metadata(
        Metadata::new()
            .title(paper.title.clone())
            .authors(paper.authors.clone())
            .description(paper.below_title.join(", "))
            .language("en".to_owned())
            .creator(concat!("bench ", env!("CARGO_PKG_VERSION")).to_owned()),
    );
    document.set_outline(outline(set));
    document.set_tag_tree(tags(set, parts));
    document.finish().map_err(|error| anyhow!("the paper cannot be written as PDF: {error:?}"))
}

fn draw(
    surface: &mut Surface<'_>,
    mark: &Mark,
    fonts: &[Option<Font>; Face::ALL.len()],
    paper: &Paper,
) -> Option<()> {
    match mark {
        Mark::Text { x, y, face, size, shade, text, node: _ } => {
            surface.set_fill(Some(fill(*shade)));
            let font = fonts[*face as usize].clone()?;
            let at = Point::from_xy(*x, *y);
            surface.draw_text(at, font, *size, text, false, TextDirection::Auto);
        }
        Mark::Bar { x, y, width, height, shade } => {
            surface.set_fill(Some(fill(*shade)));
            let mut path = PathBuilder::new();
            path.push_rect(Rect::from_xywh(*x, *y, *width, *height)?);
            surface.draw_path(&path.finish()?);
        }
        Mark::Picture { x, y, width, height, block, node: _ } => {
            let Block::Figure { picture, .. } = paper.blocks.get(*block)? else { return None };
            surface.push_transform(&Transform::from_translate(*x, *y));
            let size = Size::from_wh(*width, *height)?;
            surface.draw_svg(picture, size, SvgSettings::default())?;
            surface.pop();
        }
        Mark::Link { .. } => {}
    }
    Some(())
}

/// Annotation of a link, with its node.
fn link(mark: &Mark) -> Option<(usize, Annotation)> {
    let Mark::Link { x, y, width, height, address, node } = mark else { return None };
    let place = Rect::from_xywh(*x, *y, *width, *height)?;
    let target = Target::Action(Action::Link(LinkAction::new(address.clone())));
    let alternative = format!("Link to {address}");
    Some((*node, Annotation::new_link(LinkAnnotation::new(place, target), Some(alternative))))
}

fn fill(shade: Shade) -> Fill {
    let (red, green, blue) = match shade {
        Shade::Ink => (0x1a, 0x1b, 0x1c),
        Shade::Soft => (0x5b, 0x60, 0x68),
        Shade::Accent => (0x00, 0x72, 0xb2),
        Shade::Grid => (0xb8, 0xba, 0xbc),
    };
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}

fn outline(set: &Set) -> Outline {
    let mut outline = Outline::new();
    for (text, page, y) in &set.sections {
        let destination = XyzDestination::new(*page, Point::from_xy(0.0, *y));
        outline.push_child(OutlineNode::new(text.clone(), destination));
    }
    outline
}

/// Tag tree of the nodes with their drawn parts.
fn tags(set: &Set, parts: Vec<Vec<Identifier>>) -> TagTree {
    let mut groups: Vec<TagGroup> =
        set.nodes.iter().map(|node| TagGroup::new(tag(&node.role))).collect();
    for (group, parts) in groups.iter_mut().zip(parts) {
        parts.into_iter().for_each(|part| group.push(part));
    }
    let mut tree = TagTree::new();
    // Children have higher indices, so each node is complete before its parent takes it.
    let mut children: Vec<Vec<TagGroup>> = set.nodes.iter().map(|_| Vec::new()).collect();
    let mut roots = Vec::new();
    for index in (0..set.nodes.len()).rev() {
        let mut group = groups.pop().expect("there is one for each node");
        for child in children[index].drain(..).rev() {
            group.push(child);
        }
        match set.nodes[index].parent {
            Some(parent) => children[parent].push(group),
            None => roots.push(group),
        }
    }
    roots.into_iter().rev().for_each(|root| tree.push(root));
    tree
}

fn tag(role: &Role) -> TagKind {
    match role {
        Role::Heading(level, text) => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            Tag::Hn(level, Some(text.clone())).into()
        }
        Role::Paragraph => Tag::P.into(),
        Role::Link => Tag::Link.into(),
        Role::Figure(title) => Tag::Figure(Some(title.clone())).into(),
        Role::Caption => Tag::Caption.into(),
        Role::Table => Tag::Table.into(),
        Role::Row => Tag::TR.into(),
        Role::Head => Tag::TH(TableHeaderScope::Column).into(),
        Role::Cell => Tag::TD.into(),
        Role::Code => Tag::Code.into(),
    }
}

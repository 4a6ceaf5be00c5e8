//! Prompts as a tree of tokens: what is shared is computed once.
//!
//! A branch is a prompt, or a prompt followed by a label. Every branch has a sequence of its own; a node
//! is one token in the cache that belongs to the sequences of all branches through it. So a single batch holds the
//! shared prefix, every task's instruction and every label.

/// One token to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub token: u32,
    pub position: usize,
    pub sequences: Vec<i32>,
    /// The distribution over the next token is wanted.
    pub logits: bool,
    children: Vec<usize>,
}

impl Node {
    /// A token that no label follows.
    pub fn of_trunk(tokens: &[u32], position: usize, sequence: i32) -> Node {
        Node { token: tokens[position], position, sequences: vec![sequence], logits: false, children: vec![] }
    }
}

/// Nodes in an order in which a parent stands before its children.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    /// Tokens that are computed before; every branch starts with them.
    prefix: Vec<u32>,
    roots: Vec<usize>,
}

/// Where a prompt, or a prompt and a label, goes through the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    /// The node of each token behind the prefix.
    pub nodes: Vec<usize>,
    /// Leading tokens that stood in the tree, or in the prefix, before this branch was added.
    pub shared: usize,
}

impl Tree {
    /// A tree whose branches all start with `prefix`, which is computed before.
    pub fn new(prefix: &[u32]) -> Tree {
        Tree { prefix: prefix.to_vec(), ..Tree::default() }
    }

    /// Adds the branch of a sequence; `tokens` must be longer than the prefix and start with it.
    pub fn add(&mut self, tokens: &[u32], sequence: i32) -> Branch {
        debug_assert!(tokens.len() > self.prefix.len() && tokens.starts_with(&self.prefix));
        let mut branch =
            Branch { nodes: Vec::with_capacity(tokens.len() - self.prefix.len()), shared: self.prefix.len() };
        for (position, &token) in tokens.iter().enumerate().skip(self.prefix.len()) {
            let parent = branch.nodes.last().copied();
            let siblings = parent.map_or(&self.roots, |parent| &self.nodes[parent].children);
            let node = match siblings.iter().copied().find(|&node| self.nodes[node].token == token) {
                Some(node) => {
                    branch.shared += 1;
                    node
                }
                None => {
                    let node = self.nodes.len();
                    self.nodes.push(Node { token, position, sequences: vec![], logits: false, children: vec![] });
                    match parent {
                        Some(parent) => self.nodes[parent].children.push(node),
                        None => self.roots.push(node),
                    }
                    node
                }
            };
            self.nodes[node].sequences.push(sequence);
            branch.nodes.push(node);
        }
        branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_one_node_with_all_its_sequences() {
        let mut tree = Tree::new(&[1]);
        let summary = tree.add(&[1, 2, 3, 4], 1);
        let label = tree.add(&[1, 2, 3, 5, 6], 2);
        let longer = tree.add(&[1, 2, 3, 5, 6, 7], 3);
        assert_eq!(tree.nodes.len(), 6);
        assert_eq!((summary.shared, label.shared, longer.shared), (1, 3, 5));
        assert_eq!(tree.nodes[0].sequences, [1, 2, 3]);
        assert_eq!(tree.nodes[label.nodes[3]].sequences, [2, 3]);
        assert_eq!(tree.nodes[longer.nodes[4]].position, 5);
    }

    proptest::proptest! {
        #[test]
        fn every_path_reads_back(paths in proptest::collection::vec(proptest::collection::vec(0u32..3, 1..8), 1..6)) {
            let mut tree = Tree::new(&[]);
            let added: Vec<Branch> = paths.iter().enumerate().map(|(sequence, path)| tree.add(path, sequence as i32)).collect();
            for (sequence, (tokens, branch)) in paths.iter().zip(&added).enumerate() {
                let read: Vec<u32> = branch.nodes.iter().map(|&node| tree.nodes[node].token).collect();
                proptest::prop_assert_eq!(&read, tokens);
                proptest::prop_assert!(branch.nodes.windows(2).all(|pair| pair[0] < pair[1]));
                proptest::prop_assert!(branch.nodes.iter().all(|&node| tree.nodes[node].sequences.contains(&(sequence as i32))));
            }
            let distinct: std::collections::HashSet<&[u32]> =
                paths.iter().flat_map(|path| (1..=path.len()).map(|end| &path[..end])).collect();
            proptest::prop_assert_eq!(tree.nodes.len(), distinct.len());
        }
    }
}

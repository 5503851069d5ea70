"""What a tree on disk is, as comparable facts."""
import hashlib
import os
import stat

KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def facts_of(path, times=False):
    """(kind, mode, uid, gid, links of a file, size of a file, target, digest, device, xattrs[, mtime])"""
    info = os.lstat(path)
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    is_file = kind == "f"
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return (kind, f"{stat.S_IMODE(info.st_mode):o}", info.st_uid, info.st_gid, info.st_nlink if is_file else 0,
            info.st_size if is_file else 0, os.readlink(path) if kind == "l" else "", digest(path) if is_file else "",
            info.st_rdev if kind in "cb" else 0,
            tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
            info.st_mtime_ns if times and kind != "d" else 0)


def tree(root, **options):
    """Facts of all below @root by relative path."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = facts_of(path, **options)
    return found

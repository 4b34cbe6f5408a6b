internal import Protocol

/// A growing table by slot, from slot 1 on.
struct SlotTable<Element: Sendable>: Sendable {
  private var elements: [Element] = []
  private let empty: Element

  init(empty: Element) { self.empty = empty }

  /// The highest slot with an entry.
  var last: Slot { Slot(UInt64(elements.count)) }

  subscript(slot: Slot) -> Element {
    get {
      let i = Int(slot.rawValue) - 1
      return i >= 0 && i < elements.count ? elements[i] : empty
    }
    _modify {
      precondition(slot > .zero, "slots begin at 1")
      while elements.count < Int(slot.rawValue) { elements.append(empty) }
      yield &elements[Int(slot.rawValue) - 1]
    }
  }
}
